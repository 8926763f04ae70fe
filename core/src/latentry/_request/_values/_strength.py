"""Image to image: how many steps are laid out, and how many of them a picture to begin from leaves out."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal, NamedTuple

from latentry._errors import OptionError, counted

StrengthMode = Literal["cut", "full"]


class StepCounts(NamedTuple):
    """The steps of a run: ``laid_out`` of them, without the ``left_out`` noisiest ones."""

    laid_out: int
    left_out: int


def count_steps(steps: int, strength: float, mode: StrengthMode) -> StepCounts:
    """The steps of a strength in (0, 1]; at 1 all are taken.

    Both modes begin at about the same noise level. ``cut`` lays out N steps and takes the last ⌊N·strength⌋ of them
    (diffusers, AUTOMATIC1111's default); ``full`` lays out ⌊N/strength⌋ and takes the last N (ComfyUI,
    AUTOMATIC1111's exact steps). The strength counts as the decimal that was typed: 50 steps at 0.58 are 29, where
    the nearest double, a little below 0.58, would give 28.

    Raises:
        OptionError: no step would be left.
    """
    if strength == 1.0:
        return StepCounts(steps, 0)
    share = Fraction(repr(float(strength)))  # repr is the shortest decimal that reads as this double: what was typed
    if mode == "full":
        laid_out = int(steps / share)
        return StepCounts(laid_out, laid_out - steps)
    taken = int(steps * share)
    if taken == 0:
        raise OptionError(
            f"A strength of {strength:g} leaves none of {counted(steps, 'step')}.",
            why="The strength mode 'cut' takes that share of the steps, rounded down.",
            remedy="Use a higher strength, more steps, or the strength mode 'full'.",
            field="strength",
        )
    return StepCounts(steps, steps - taken)
