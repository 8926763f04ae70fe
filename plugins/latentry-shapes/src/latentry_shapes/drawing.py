"""Draws a scene.

A thing that is half said is drawn in any colour, or as any flower or star, that is not like what would make it one of
the held-out pairs.
"""

from __future__ import annotations

import math
import random

import numpy as np
from numpy.typing import NDArray

from latentry_shapes.likeness import likest
from latentry_shapes.outlines import DISTANCES, Array, Distance, Placement, coverage
from latentry_shapes.scenes import BACKGROUNDS, COLORS, HELD_OUT, RGB, SIZE, Scene, Thing

VISIBLE = 75.0
"""How far a colour without a name is from all backgrounds, at least, in RGB."""
FAR = 90.0
"""How far a colour without a name is from the ones that are kept from a shape; the judge's eyes ask for 75."""
LIKE = 0.5
"""Overlap from which on a shape without a name counts as like one that has a name; the judge's eyes ask for more."""


def _flower(rng: random.Random) -> Distance:
    """A flower or a star of two to seven petals, unevenly."""
    petals, turned, uneven = rng.randint(2, 7), rng.uniform(0, math.tau), rng.uniform(0, math.tau)
    depth, pointed = rng.uniform(0.15, 0.42), rng.random() < 0.5

    def distance(x: Array, y: Array, r: float) -> Array:
        angle = np.arctan2(y, x)
        wave = np.cos(petals * angle + turned)
        wave = 1 - np.arccos(wave) * 2 / math.pi if pointed else wave
        return np.hypot(x, y) - r * (0.62 + depth * wave + 0.08 * np.cos(angle + uneven))

    return distance


def other_shape(color: str, rng: random.Random) -> Distance:
    """A shape without a name that does not look like the one that makes a held-out pair with the colour."""
    while True:
        shape = _flower(rng)
        like = likest(coverage(shape, (SIZE / 2, SIZE / 2, SIZE / 4)), LIKE)
        if like is None or Thing(color, like) not in HELD_OUT:
            return shape


def other_color(shape: str, rng: random.Random) -> RGB:
    """A colour, visible on every background, that is far from those that make a held-out pair with the shape."""
    kept = [COLORS[pair.color] for pair in HELD_OUT if pair.shape == shape]
    while True:
        color = (rng.randrange(256), rng.randrange(256), rng.randrange(256))
        seen = all(math.dist(ground, color) > VISIBLE for ground in BACKGROUNDS.values())
        if seen and all(math.dist(other, color) > FAR for other in kept):
            return color


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
        color = COLORS[thing.color] if thing.color else other_color(thing.shape, rng)
        shape = DISTANCES[thing.shape] if thing.shape else other_shape(thing.color, rng)
        cover = coverage(shape, placement, size)[..., None]
        picture = picture * (1 - cover) + np.asarray(color) * cover
    return np.rint(picture).astype(np.uint8)
