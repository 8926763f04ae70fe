"""How much of the way from noise to picture is gone again, where a run begins from a picture."""

from __future__ import annotations

from typing import Literal, NamedTuple

from latentry._errors import OptionError

StrengthMode = Literal["cut", "full"]


class Stretch(NamedTuple):
    """The steps that are taken: of ``laid_out`` the noisiest ``left_out`` are not."""

    laid_out: int
    left_out: int


def stretch(steps: int, strength: float, mode: StrengthMode) -> Stretch:
    """The steps of a strength in (0, 1]; at 1 they are all.

    Both begin at about the same noise level. ``cut`` lays out N steps and takes the last ⌊N·strength⌋ of them
    (diffusers, AUTOMATIC1111's default); ``full`` lays out ⌊N/strength⌋ and takes the last N (ComfyUI,
    AUTOMATIC1111's exact steps).

    Raises:
        OptionError: no step would be left.
    """
    if strength == 1.0:
        return Stretch(steps, 0)
    if mode == "full":
        laid_out = int(steps / strength)
        return Stretch(laid_out, laid_out - steps)
    taken = int(steps * strength)
    if taken == 0:
        raise OptionError(
            f"A strength of {strength:g} leaves none of {steps} steps.",
            why="The schedule is cut to that share of its steps, rounded down.",
            remedy="Raise --strength or --steps, or use --strength-mode full.",
        )
    return Stretch(steps, steps - taken)
