"""Checks the size of a picture against what a network can draw."""

from __future__ import annotations

from latentry import OptionError


def check_size(width: int, height: int, *, stride: int, best: int, least: int = 1, most: int | None = None) -> None:
    """Refuses a size in pixels that a network cannot draw, and names the nearest that it can.

    Args:
        width: the requested width.
        height: the requested height.
        stride: every side is a multiple of it.
        best: width and height of the training pictures.
        least: the shortest side.
        most: the longest side, None for any.

    Raises:
        OptionError: the network cannot draw that size.
    """
    sides = (width, height)
    least = max(stride, least)
    if all(side % stride == 0 and least <= side <= (most or side) for side in sides):
        return
    nearest = [max(least, round(side / stride) * stride) for side in sides]
    near = nearest if most is None else [min(side, most // stride * stride) for side in nearest]
    limit = "" if most is None else f" and at most {most}"
    raise OptionError(
        f"This model cannot draw {width}×{height} pixels.",
        why=f"Width and height must be multiples of {stride}, at least {least}{limit}.",
        remedy=f"Use {near[0]}×{near[1]}; it draws best at {best}×{best}.",
    )
