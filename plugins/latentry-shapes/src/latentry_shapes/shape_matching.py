"""Finds the known shape that an outline overlaps most."""

from __future__ import annotations

from functools import cache

import numpy as np

from latentry_shapes.outlines import DISTANCES, Array, coverage
from latentry_shapes.scenes import SIZE

MIN_OVERLAP = 0.6
"""Least intersection over union with a known shape; below it the outline counts as none of them."""


def closest_shape(cover: Array, min_overlap: float = MIN_OVERLAP) -> str | None:
    """The shape that overlaps most when drawn with the same area about the same centre of mass.

    Args:
        cover: how much of each pixel is covered, (SIZE, SIZE), 0 to 1.
        min_overlap: least intersection over union; the result is None if no shape reaches it.
    """
    overlaps = {shape: _overlap(cover, shape) for shape in DISTANCES}
    best = max(overlaps, key=overlaps.__getitem__)
    return best if overlaps[best] >= min_overlap else None


def _overlap(cover: Array, shape: str) -> float:
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
    """Area, and x and y of the centre of mass, in pixels. The centre of the first pixel is at 0.5."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    area = max(float(cover.sum()), 1e-9)
    return area, float((cover * x).sum()) / area, float((cover * y).sum()) / area
