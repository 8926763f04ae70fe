"""Draws scenes.

A thing without a named colour is drawn in any colour, and one without a named shape as any flower or star, except where
that would look like a held-out pair.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from latentry_shapes.outlines import DISTANCES, Array, Distance, Placement, coverage, stroke
from latentry_shapes.scenes import BACKGROUNDS, COLORS, HELD_OUT, RGB, SIZE, Scene, Thing
from latentry_shapes.shape_matching import closest_shape

MIN_CONTRAST = 75.0
"""Least RGB distance of an unnamed colour from every background."""
MIN_COLOR_DISTANCE = 90.0
"""Least RGB distance of an unnamed colour from those held out for its shape; the judge takes up to 75 for the same."""
SIMILAR = 0.5
"""Overlap from which an unnamed shape counts as similar to a named one; the judge asks for 0.6."""


def _flower(rng: random.Random) -> Distance:
    """A random flower or star with two to seven uneven petals."""
    petals, turned, uneven = rng.randint(2, 7), rng.uniform(0, math.tau), rng.uniform(0, math.tau)
    depth, pointed = rng.uniform(0.15, 0.42), rng.random() < 0.5

    def distance(x: Array, y: Array, r: float) -> Array:
        angle = np.arctan2(y, x)
        wave = np.cos(petals * angle + turned)
        wave = 1 - np.arccos(wave) * 2 / math.pi if pointed else wave
        return np.hypot(x, y) - r * (0.62 + depth * wave + 0.08 * np.cos(angle + uneven))

    return distance


def other_shape(color: str, rng: random.Random) -> Distance:
    """An unnamed shape that is not similar to the shape held out for the colour."""
    while True:
        shape = _flower(rng)
        similar = closest_shape(coverage(shape, (SIZE / 2, SIZE / 2, SIZE / 4)), SIMILAR)
        if similar is None or Thing(color, similar) not in HELD_OUT:
            return shape


def other_color(shape: str, rng: random.Random) -> RGB:
    """An unnamed colour that shows on every background and is far from those held out for the shape."""
    held_out = [COLORS[pair.color] for pair in HELD_OUT if pair.shape == shape]
    while True:
        color = (rng.randrange(256), rng.randrange(256), rng.randrange(256))
        visible = all(math.dist(ground, color) > MIN_CONTRAST for ground in BACKGROUNDS.values())
        if visible and all(math.dist(other, color) > MIN_COLOR_DISTANCE for other in held_out):
            return color


def place(scene: Scene, rng: random.Random, size: int = SIZE) -> tuple[Placement, ...]:
    """Random centres and radii for the things of a scene. Two things lie in their relation and do not overlap."""
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
    return draw_at(scene, place(scene, rng, size), rng, size)


def draw_at(scene: Scene, placements: Sequence[Placement], rng: random.Random, size: int = SIZE) -> NDArray[np.uint8]:
    """The picture of the scene with its things at these places: (size, size, 3), RGB, 0 to 255."""
    picture, _ = _drawn(scene, placements, rng, size)
    return picture


def draw_with_outline(
    scene: Scene, rng: random.Random, size: int = SIZE
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One picture of the scene, (size, size, 3), and the outlines of its things in white on black, (size, size)."""
    return _drawn(scene, place(scene, rng, size), rng, size)


def _drawn(
    scene: Scene, placements: Sequence[Placement], rng: random.Random, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    picture, outlines = np.empty((size, size, 3)), np.zeros((size, size))
    picture[:] = BACKGROUNDS[scene.background]
    for thing, placement in zip(scene.things, placements, strict=True):
        color = COLORS[thing.color] if thing.color else other_color(thing.shape, rng)
        shape = DISTANCES[thing.shape] if thing.shape else other_shape(thing.color, rng)
        cover = coverage(shape, placement, size)[..., None]
        picture = picture * (1 - cover) + np.asarray(color) * cover
        outlines = np.maximum(outlines, stroke(shape, placement, size))
    return np.rint(picture).astype(np.uint8), np.rint(255 * outlines).astype(np.uint8)
