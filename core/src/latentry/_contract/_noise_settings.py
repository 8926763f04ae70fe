"""Process, prediction type and grid of a checkpoint, from its ``scheduler_config.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from latentry._errors import ModelError
from latentry._numerics._processes._flow import Flow
from latentry._numerics._processes._prediction import Prediction
from latentry._numerics._processes._process import Process
from latentry._numerics._processes._variance_preserving import BetaSchedule, VariancePreserving
from latentry._specs import SigmaPreference

CONSISTENCY = ("LCMScheduler", "TCDScheduler")
"""diffusers' schedulers of models that know every T/50-th timestep alone."""


@dataclass(frozen=True)
class NoiseSettings:
    """How a checkpoint was trained.

    Attributes:
        process: how noise was added.
        prediction: what the network emits.
        demand: the only sigma schedule that it works with; None where any will do.
        own: the sigma schedule that it was published with. It comes before what schedulers prefer, unless those were
            measured on the model (``CheckpointSpec.measured_grids``).
    """

    process: Process
    prediction: Prediction
    demand: SigmaPreference | None = None
    own: SigmaPreference | None = None


def variance_preserving_settings(config: Mapping[str, Any]) -> NoiseSettings:
    """Reads a diffusers scheduler configuration of a discrete variance-preserving model.

    Keys that are absent have diffusers' defaults. Zero terminal SNR, an explicit trailing spacing and the schedulers of
    consistency models (LCM, TCD) demand a schedule; any other spacing only reflects the scheduler that the file names.

    Raises:
        ModelError: a value is not known.
    """
    try:
        process = _process(config)
    except (TypeError, ValueError) as error:
        raise ModelError(
            "The checkpoint's scheduler_config.json does not describe a noise process.",
            why=str(error).splitlines()[0],
            remedy="The betas must rise from above 0 to below 1. Download the checkpoint again, or correct the file.",
        ) from error
    if config.get("rescale_betas_zero_snr", False):
        process = process.zero_terminal_snr()
    return NoiseSettings(process, _prediction(config), _demand(config, process))


def _demand(config: Mapping[str, Any], process: VariancePreserving) -> SigmaPreference | None:
    known = config.get("original_inference_steps", 50)
    if config.get("_class_name") in CONSISTENCY and isinstance(known, int) and known > 0:
        return SigmaPreference("latentry:distilled", (("known", known),), final="table")
    if config.get("timestep_spacing") == "trailing" or process.alphas_cumprod[-1] == 0.0:
        return SigmaPreference("latentry:trailing")
    return None


def flow_settings(config: Mapping[str, Any]) -> NoiseSettings:
    """Reads a diffusers configuration of a rectified-flow model (``FlowMatchEulerDiscreteScheduler``).

    The network's timestep is num_train_timesteps · σ; a family whose network wants 0..1 divides. The time shift is not
    part of the process: it is the checkpoint's ``shift``.

    Raises:
        ModelError: the number of training timesteps is not a positive whole number.
    """
    timesteps = config.get("num_train_timesteps", 1000)
    if not isinstance(timesteps, int) or timesteps < 1:
        raise ModelError(
            f"The checkpoint's scheduler_config.json asks for {timesteps!r} training timesteps.",
            remedy="It must be a whole number, usually 1000. Download the checkpoint again, or correct the file.",
        )
    return NoiseSettings(Flow(multiplier=float(timesteps)), Prediction.FLOW, own=SigmaPreference("latentry:trailing"))


def _process(config: Mapping[str, Any]) -> VariancePreserving:
    if config.get("trained_betas") is not None:
        kept, alphas = 1.0, []
        for beta in config["trained_betas"]:
            kept *= 1.0 - beta
            alphas.append(kept)
        return VariancePreserving(tuple(alphas))
    schedule = config.get("beta_schedule", "linear")
    if schedule not in get_args(BetaSchedule):
        raise ModelError(
            f"The checkpoint's scheduler_config.json asks for the beta schedule {schedule!r}, which is not known.",
            remedy=f"Known are {', '.join(get_args(BetaSchedule))}; or give the betas as trained_betas.",
        )
    return VariancePreserving.from_betas(
        schedule,
        start=config.get("beta_start", 0.0001),
        end=config.get("beta_end", 0.02),
        timesteps=config.get("num_train_timesteps", 1000),
    )


def _prediction(config: Mapping[str, Any]) -> Prediction:
    named = config.get("prediction_type", "epsilon")
    known = (Prediction.EPSILON, Prediction.V, Prediction.X0)
    if named not in known:
        raise ModelError(
            f"The checkpoint's scheduler_config.json asks for the prediction type {named!r}, which it cannot have.",
            why="Its noise process is variance preserving.",
            remedy=f"Use one of {', '.join(known)}.",
        )
    return Prediction(named)
