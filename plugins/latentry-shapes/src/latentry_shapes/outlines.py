"""Outlines of shapes as signed distances, and the share of each pixel that they cover."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from latentry_shapes.scenes import SIZE

STROKE = 0.75
"""Half the width of a line along an outline, in pixels."""
Array = NDArray[np.float64]
Distance = Callable[[Array, Array, float], Array]
"""Signed distance of points (x, y) from the outline of a shape of radius r about the origin; negative inside."""
Placement = tuple[float, float, float]
"""Centre x, centre y and radius of one thing, in pixels."""


def _circle(x: Array, y: Array, r: float) -> Array:
    return np.hypot(x, y) - r


def _square(x: Array, y: Array, r: float) -> Array:
    return np.maximum(abs(x), abs(y)) - 0.88 * r


def _diamond(x: Array, y: Array, r: float) -> Array:
    return (abs(x) + abs(y) - 1.15 * r) / math.sqrt(2)


def _triangle(x: Array, y: Array, r: float) -> Array:
    top, bottom, half = -r, 0.85 * r, 1.05 * r
    height = bottom - top
    side = (abs(x) * height - half * (y - top)) / math.hypot(height, half)
    return np.maximum(side, y - bottom)


def _cross(x: Array, y: Array, r: float) -> Array:
    width = 0.36 * r
    across = np.maximum(abs(x) - r, abs(y) - width)
    return np.minimum(across, np.maximum(abs(x) - width, abs(y) - r))


def _ring(x: Array, y: Array, r: float) -> Array:
    return abs(np.hypot(x, y) - 0.74 * r) - 0.26 * r


DISTANCES: Mapping[str, Distance] = MappingProxyType(
    {
        "circle": _circle,
        "square": _square,
        "triangle": _triangle,
        "diamond": _diamond,
        "cross": _cross,
        "ring": _ring,
    }
)


def coverage(distance: Distance, placement: Placement, size: int = SIZE) -> Array:
    """How much of each pixel a shape covers: (size, size), 0 to 1."""
    cx, cy, radius = placement
    y, x = np.mgrid[0:size, 0:size] + 0.5
    return np.clip(0.5 - distance(x - cx, y - cy, radius), 0.0, 1.0)


def stroke(distance: Distance, placement: Placement, size: int = SIZE) -> Array:
    """How much of each pixel a line along a shape's outline covers: (size, size), 0 to 1."""
    cx, cy, radius = placement
    y, x = np.mgrid[0:size, 0:size] + 0.5
    return np.clip(0.5 + STROKE - abs(distance(x - cx, y - cy, radius)), 0.0, 1.0)
