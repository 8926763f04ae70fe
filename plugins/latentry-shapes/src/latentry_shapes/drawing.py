"""Draws a scene: signed distances to the outline, turned into anti-aliased coverage."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from latentry_shapes.scenes import BACKGROUNDS, COLORS, SIZE, Scene

Array = NDArray[np.float64]
Distance = Callable[[Array, Array, float], Array]
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


def coverage(shape: str, placement: Placement, size: int = SIZE) -> Array:
    """How much of each pixel the shape covers: (size, size), 0 to 1."""
    cx, cy, radius = placement
    y, x = np.mgrid[0:size, 0:size] + 0.5
    return np.clip(0.5 - DISTANCES[shape](x - cx, y - cy, radius), 0.0, 1.0)


def place(scene: Scene, rng: random.Random, size: int = SIZE) -> tuple[Placement, ...]:
    """Random centres and radii for the things of a scene; two keep their relation and do not overlap."""
    unit = size / 64
    if scene.relation is None:
        radius = rng.uniform(12, 17) * unit
        return ((_near(rng, size / 2, 7 * unit), _near(rng, size / 2, 7 * unit), radius),)
    near, far = 16.5 * unit, 47.5 * unit
    along = [_near(rng, near, 1.5 * unit), _near(rng, far, 1.5 * unit)]
    across = [_near(rng, size / 2, 6 * unit) for _ in range(2)]
    if scene.relation in ("right of", "below"):
        along.reverse()
    radii = [rng.uniform(10, 12.5) * unit for _ in range(2)]
    xs, ys = (along, across) if scene.relation in ("left of", "right of") else (across, along)
    return tuple(zip(xs, ys, radii, strict=True))


def _near(rng: random.Random, centre: float, reach: float) -> float:
    return centre + rng.uniform(-reach, reach)


def draw(scene: Scene, rng: random.Random, size: int = SIZE) -> NDArray[np.uint8]:
    """One picture of the scene: (size, size, 3), RGB, 0 to 255."""
    picture = np.empty((size, size, 3))
    picture[:] = BACKGROUNDS[scene.background]
    for thing, placement in zip(scene.things, place(scene, rng, size), strict=True):
        cover = coverage(thing.shape, placement, size)[..., None]
        picture = picture * (1 - cover) + np.asarray(COLORS[thing.color]) * cover
    return np.rint(picture).astype(np.uint8)
