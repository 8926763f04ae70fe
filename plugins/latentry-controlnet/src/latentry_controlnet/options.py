"""What can be set on a ControlNet besides its weight."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pydantic import Field

from latentry import OptionError
from latentry_diffusers.conditioning.preprocessing import PictureOptions

SDXL_MODES: Mapping[str, int] = MappingProxyType(
    {"openpose": 0, "depth": 1, "scribble": 2, "canny": 3, "normal": 4, "segment": 5, "tile": 6, "repaint": 7}
)
"""The control types of ControlNet Union for SDXL, as its author numbers them: ``scribble`` is soft edges too, ``canny``
any thin line. Only the ProMax network has the last two."""
FLUX_MODES: Mapping[str, int] = MappingProxyType(
    {"canny": 0, "tile": 1, "depth": 2, "blur": 3, "pose": 4, "gray": 5, "low-quality": 6}
)
"""The modes of InstantX's Union for FLUX.1."""


class ControlNetOptions(PictureOptions):
    """Options of one ControlNet."""

    mode: str | int | None = Field(None, description="what the picture shows, for a Union network, e.g. canny or depth")
    guess: bool = Field(
        False,
        description="weights that rise from 0.1 to 1 with the depth of the block, for UNets; with branches=prompt this "
        "is diffusers' guess mode",
    )


def mode_number(mode: str | int | None, known: Mapping[str, int], count: int | None) -> int | None:
    """The number of a mode; None for a network without modes.

    Args:
        mode: its name or number.
        known: numbers by name.
        count: how many the network has; None for one without modes.

    Raises:
        OptionError: it has no such mode, has none at all, or needs one.
    """
    if count is None:
        if mode is None:
            return None
        raise OptionError(
            f"This ControlNet has no modes, and mode {mode!r} was given.",
            remedy="Leave mode out.",
            field="controls",
        )
    names = [name for name, number in known.items() if number < count]
    number = known.get(mode, count) if isinstance(mode, str) else mode
    if number is None or not 0 <= number < count:
        raise OptionError(
            "A Union ControlNet needs to be told what the picture shows."
            if mode is None
            else f"This ControlNet has no mode {mode!r}.",
            remedy=f"Give mode={' or '.join(names)}.",
            field="controls",
        )
    return number
