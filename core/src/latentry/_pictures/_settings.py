"""One record for the settings of any program."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class ForeignSettings:
    """How another program made a picture. All of it is a stranger's text.

    Attributes:
        program: its name.
        prompt: what the picture shows.
        negative: what it should not show.
        steps: number of steps.
        sampler: the sampler's name there.
        schedule: the sigma schedule's name there, where it is given apart.
        guidance: guidance scale.
        seed: of its own noise.
        width: in pixels.
        height: in pixels.
        model: the model's name there.
        strength: of image to image.
        upscale: how many times it was enlarged and drawn on again; ``strength`` is then that of the second pass.
        upscale_steps: the steps that were taken there.
        upscaler: the name of what enlarged it.
        clip_skip: CLIP's layers that are left out, 1 where the last but one is used.
        loras: names and weights.
        rest: what else it says, by its own names.
        unsure: what may be wrong in the above, one sentence each.
    """

    program: str
    prompt: str = ""
    negative: str = ""
    steps: int | None = None
    sampler: str = ""
    schedule: str = ""
    guidance: float | None = None
    seed: int | None = None
    width: int | None = None
    height: int | None = None
    model: str = ""
    strength: float | None = None
    upscale: float | None = None
    upscale_steps: int | None = None
    upscaler: str = ""
    clip_skip: int | None = None
    loras: tuple[tuple[str, float], ...] = ()
    rest: Mapping[str, str] = field(default_factory=dict)
    unsure: tuple[str, ...] = ()

    def sized(self, width: int, height: int) -> ForeignSettings:
        """The same with the size of the picture, where the texts do not say it."""
        return self if self.width and self.height else replace(self, width=width or None, height=height or None)


def whole(value: Any) -> int | None:
    """A whole number, from JSON or from text; None for anything else."""
    number = real(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value  # seeds do not fit into a float
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 30:
        return int(value)
    return None if number is None or not number.is_integer() else int(number)


def real(value: Any) -> float | None:
    """A finite number, from JSON or from text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def text(value: Any) -> str:
    """A text; empty for anything else."""
    return value if isinstance(value, str) else ""


def short(value: Any) -> str:
    """Any value in a few words."""
    shown = value if isinstance(value, str) else repr(value)
    return shown if len(shown) <= 80 else f"{shown[:79]}…"
