"""An integrator for reference paths: extrapolation of the midpoint rule, accurate to rounding."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Field = Callable[[float, Tensor], Tensor]

PARTS = (2, 4, 6, 8, 10, 12)
"""Into how many pieces a step is cut for each row of the tableau; order 12 in all."""


def integrate(field: Field, y: Tensor, begin: float, end: float, *, tolerance: float = 1e-13) -> Tensor:
    """y at ``end``, from dy/dt = field(t, y) and y at ``begin`` (Gragg 1965; Bulirsch and Stoer 1966).

    Args:
        field: the derivative, smooth.
        y: the value at ``begin``, float64.
        begin: where to start; may lie after ``end``.
        end: where to stop.
        tolerance: of each step, relative to the largest value, or to 1.
    """
    at, h = begin, (end - begin) / 4
    while abs(end - at) > 1e-14 * abs(end - begin):
        h = min(h, end - at, key=abs)
        new, error = _step(field, y, at, h)
        # the difference of two orders: smaller still where the higher of them is taken
        if error <= tolerance * max(1.0, float(new.abs().max())) or abs(h) < 1e-6 * abs(end - begin):
            y, at, h = new, at + h, 1.6 * h
        else:
            h *= 0.5
    return y


def _step(field: Field, y: Tensor, at: float, h: float) -> tuple[Tensor, float]:
    """One step by the tableau, and how much its last two columns differ."""
    slope = field(at, y)
    row: list[Tensor] = []
    for j, parts in enumerate(PARTS):
        new = [_midpoint(field, y, slope, at, h, parts)]
        for k in range(j):
            ratio = (parts / PARTS[j - k - 1]) ** 2
            new.append(new[k] + (new[k] - row[k]) / (ratio - 1.0))
        row = new
    return row[-1], float((row[-1] - row[-2]).abs().max())


def _midpoint(field: Field, y: Tensor, slope: Tensor, at: float, h: float, parts: int) -> Tensor:
    """The modified midpoint rule, whose error is a series in even powers of the piece."""
    piece = h / parts
    before, now = y, y + piece * slope
    for i in range(1, parts):
        before, now = now, before + 2.0 * piece * field(at + i * piece, now)
    return 0.5 * (before + now + piece * field(at + h, now))
