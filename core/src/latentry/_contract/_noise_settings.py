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


@dataclass(frozen=True)
class NoiseSettings:
    """What a checkpoint was trained with.

    Attributes:
        process: how noise was added.
        prediction: what the network emits.
        demand: the sigma schedule it cannot do without, None where any will do.
    """

    process: Process
    prediction: Prediction
    demand: SigmaPreference | None = None


def variance_preserving_settings(config: Mapping[str, Any]) -> NoiseSettings:
    """Reads a diffusers scheduler configuration of a discrete variance-preserving model.

    Keys that are absent have diffusers' defaults. A schedule is demanded by zero terminal SNR and by an explicit
    trailing spacing (distilled models); any other spacing is a habit of the scheduler the file happens to name.

    Raises:
        ModelError: a value that is not known.
    """
    try:
        process = _process(config)
    except (TypeError, ValueError) as error:
        raise ModelError(
            "The checkpoint's scheduler_config.json gives no noise process.",
            why=str(error).splitlines()[0],
            remedy="Get the checkpoint anew; the betas must rise from above 0 to below 1.",
        ) from error
    if config.get("rescale_betas_zero_snr", False):
        process = process.zero_terminal_snr()
    trailing = config.get("timestep_spacing") == "trailing" or process.alphas_cumprod[-1] == 0.0
    demand = SigmaPreference("latentry:trailing") if trailing else None
    return NoiseSettings(process, _prediction(config), demand)


def flow_settings(config: Mapping[str, Any]) -> NoiseSettings:
    """Reads a diffusers configuration of a rectified-flow model (``FlowMatchEulerDiscreteScheduler``).

    The network is told num_train_timesteps · σ; a family whose network wants 0..1 divides. The time shift is no part
    of the process: it is the checkpoint's ``shift``.

    Raises:
        ModelError: the number of training timesteps is none.
    """
    timesteps = config.get("num_train_timesteps", 1000)
    if not isinstance(timesteps, int) or timesteps < 1:
        raise ModelError(
            f"The checkpoint's scheduler_config.json asks for {timesteps!r} training timesteps.",
            remedy="Get the checkpoint anew; it is a whole number, 1000 as a rule.",
        )
    return NoiseSettings(Flow(multiplier=float(timesteps)), Prediction.FLOW)


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
            f"The checkpoint's scheduler_config.json asks for the prediction type {named!r}, which does not fit.",
            why="Its noise process is variance preserving.",
            remedy=f"Known there are {', '.join(known)}.",
        )
    return Prediction(named)
