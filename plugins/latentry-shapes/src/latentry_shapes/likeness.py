"""Which shape an outline is like."""

from __future__ import annotations

from functools import cache

import numpy as np

from latentry_shapes.outlines import DISTANCES, Array, coverage
from latentry_shapes.scenes import SIZE

LIKENESS = 0.6
"""Least overlap with a shape, as intersection over union; below it a thing has no shape."""


def likest(cover: Array, least: float = LIKENESS) -> str | None:
    """The shape that overlaps most when drawn with the same area about the same centre of mass.

    Args:
        cover: of each pixel, (size, size), 0 to 1.
        least: overlap; None where no shape has as much.
    """
    likeness = {shape: _likeness(cover, shape) for shape in DISTANCES}
    best = max(likeness, key=likeness.__getitem__)
    return best if likeness[best] >= least else None


def _likeness(cover: Array, shape: str) -> float:
    area, x, y = moments(cover)
    unit_area, unit_x, unit_y = _unit(shape)
    radius = (area / unit_area) ** 0.5
    template = coverage(DISTANCES[shape], (x - unit_x * radius, y - unit_y * radius, radius))
    return float(np.minimum(cover, template).sum() / np.maximum(cover, template).sum())


@cache
def _unit(shape: str) -> tuple[float, float, float]:
    """Area and centre of mass of a shape of radius 1 about the origin."""
    radius = SIZE / 3
    area, x, y = moments(coverage(DISTANCES[shape], (SIZE / 2, SIZE / 2, radius)))
    return area / radius**2, (x - SIZE / 2) / radius, (y - SIZE / 2) / radius


def moments(cover: Array) -> tuple[float, float, float]:
    """Area and centre of mass in pixels, whose own centres lie at halves."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    area = max(float(cover.sum()), 1e-9)
    return area, float((cover * x).sum()) / area, float((cover * y).sum()) / area
