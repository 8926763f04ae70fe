"""What a checkpoint was trained with, read from the configuration of the scheduler that its pipeline came with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latentry import EDM, IncompatibleError, Prediction, Process, ProcessKind
from latentry.models import flow_settings, variance_preserving_settings

KEYS = {
    "num_train_timesteps": 1000,
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "trained_betas": None,
    "prediction_type": "epsilon",
    "rescale_betas_zero_snr": False,
    "timestep_spacing": None,
    "steps_offset": 1,
    "sigma_data": 0.5,
    "sigma_min": 0.002,
    "sigma_max": 80.0,
    "shift": 1.0,
    "use_flow_sigmas": False,
    "use_dynamic_shifting": False,
    "time_shift_type": "exponential",
    "base_shift": 0.5,
    "max_shift": 1.15,
    "base_image_seq_len": 256,
    "max_image_seq_len": 4096,
}
"""The keys that say something about the checkpoint and not about the sampler, with diffusers' defaults. Pipelines read
the last ones to work out ``mu``."""


def process_kind(class_name: str, config: Mapping[str, Any]) -> ProcessKind:
    """Which noise process a diffusers scheduler stands for, from its class and configuration."""
    if class_name.startswith("FlowMatch") or config.get("use_flow_sigmas") or _predicts_flow(config):
        return "flow"
    return "edm" if class_name.startswith("EDM") else "vp"


def _predicts_flow(config: Mapping[str, Any]) -> bool:
    return config.get("prediction_type") == "flow_prediction"


@dataclass(frozen=True)
class Training:
    """Noise process, prediction type, and the sigma schedule that the checkpoint demands, by its qualified name."""

    process: Process
    prediction: Prediction
    demand: str | None = None


def read_training(kind: ProcessKind, config: Mapping[str, Any]) -> Training:
    """The noise process and prediction type of a configuration.

    Args:
        kind: as ``process_kind`` gives it.
        config: with the names of ``KEYS``.

    Raises:
        ModelError: a value is unknown.
        IncompatibleError: the prediction type is not supported.
    """
    if kind == "flow":
        return Training(flow_settings({"num_train_timesteps": config["num_train_timesteps"]}).process, Prediction.FLOW)
    if kind == "edm":
        return _edm(config)
    settings = variance_preserving_settings(config)
    demand = settings.demand.name if settings.demand else None
    return Training(settings.process, settings.prediction, demand)


def _edm(config: Mapping[str, Any]) -> Training:
    if config["prediction_type"] != "epsilon":  # diffusers' name for EDM's own parametrisation
        raise IncompatibleError(
            f"The prediction type {config['prediction_type']!r} of an EDM scheduler is not supported.",
            remedy="Use the scheduler that the pipeline came with.",
        )
    return Training(EDM(config["sigma_min"], config["sigma_max"], config["sigma_data"]), Prediction.EDM)


def dynamic_shift(mu: float | None, config: Mapping[str, Any]) -> float:
    """The time shift that σ/α is multiplied by: e^mu where the pipeline works it out from the size, else the fixed one.

    ``linear`` shifting (diffusers' ``time_shift_type``) multiplies by mu itself.
    """
    if not config["use_dynamic_shifting"]:
        return float(config["shift"])
    if mu is None:
        return 1.0
    return mu if config["time_shift_type"] == "linear" else math.exp(mu)
