"""The time shift of rectified-flow checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentry import ModelError
from latentry.sigmas import resolution_shift

RULES = ("exponential", "linear")


def flow_shift(config: Mapping[str, Any], tokens: int) -> float:
    """The factor on σ/α of each level, from a ``FlowMatchEulerDiscreteScheduler`` configuration.

    ``shift`` itself, or with ``use_dynamic_shifting`` the shift of an image of that many tokens in the network. Keys
    that are absent have diffusers' defaults.

    Raises:
        ModelError: the configuration does not give a positive shift.
    """
    rule = config.get("time_shift_type", "exponential")
    try:
        if not config.get("use_dynamic_shifting", False):
            shift = float(config.get("shift", 1.0))
        elif rule in RULES:
            shift = resolution_shift(
                tokens,
                base=config.get("base_shift", 0.5),
                top=config.get("max_shift", 1.15),
                base_tokens=config.get("base_image_seq_len", 256),
                top_tokens=config.get("max_image_seq_len", 4096),
                rule=rule,
            )
        else:
            raise ValueError(f"time_shift_type is {rule!r}; known are {', '.join(RULES)}")
        if not shift > 0.0:
            raise ValueError(f"shift is {shift:g}, and must be above 0")
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise ModelError(
            "The checkpoint's scheduler_config.json does not give a time shift.",
            why=str(error).splitlines()[0],
            remedy="Download the checkpoint again.",
        ) from error
    return shift
