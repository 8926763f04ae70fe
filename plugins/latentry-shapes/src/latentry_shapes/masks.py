"""Random masks of many kinds, for training and judging an inpainting model."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from latentry_shapes.scenes import SIZE

Mask = NDArray[np.bool_]
"""(SIZE, SIZE), true where the picture is to be drawn."""
EVERYTHING, NOTHING = 0.25, 0.1
"""Shares of masks that cover all of a picture, and none of it."""
INVERTED = 0.25
"""Share of partial masks that are inverted."""


def _box(rng: random.Random) -> Mask:
    """A rectangle."""
    width, height = rng.randint(8, SIZE), rng.randint(8, SIZE)
    left, top = rng.randint(0, SIZE - width), rng.randint(0, SIZE - height)
    mask = np.zeros((SIZE, SIZE), dtype=np.bool_)
    mask[top : top + height, left : left + width] = True
    return mask


def _disc(rng: random.Random) -> Mask:
    """An ellipse, which may reach over the edge."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    across, down = (x - rng.uniform(0, SIZE)) / rng.uniform(6, 32), (y - rng.uniform(0, SIZE)) / rng.uniform(6, 32)
    inside: Mask = across**2 + down**2 <= 1
    return inside


def _half_plane(rng: random.Random) -> Mask:
    """One side of a line. Half of the lines are horizontal or vertical."""
    angle = rng.randrange(4) * math.pi / 2 if rng.random() < 0.5 else rng.uniform(0, math.tau)
    y, x = np.mgrid[0:SIZE, 0:SIZE] + 0.5 - SIZE / 2
    side: Mask = x * math.cos(angle) + y * math.sin(angle) > rng.uniform(-0.4, 0.4) * SIZE
    return side


def _stroke(rng: random.Random) -> Mask:
    """A brush stroke through a few points."""
    image = Image.new("L", (SIZE, SIZE))
    pen, width = ImageDraw.Draw(image), rng.randint(4, 16)
    points = [(rng.uniform(0, SIZE), rng.uniform(0, SIZE)) for _ in range(rng.randint(2, 5))]
    pen.line(points, fill=255, width=width, joint="curve")
    for x, y in points:
        pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
    return np.asarray(image) > 0


def _blob(rng: random.Random) -> Mask:
    """The places where smooth noise is largest."""
    cells = rng.randint(3, 7)
    noise = Image.frombytes("L", (cells, cells), rng.randbytes(cells * cells))
    smooth = np.asarray(noise.resize((SIZE, SIZE), Image.Resampling.BICUBIC), dtype=np.float64)
    largest: Mask = smooth > np.quantile(smooth, rng.uniform(0.2, 0.9))
    return largest


def _tiny(rng: random.Random) -> Mask:
    """A square of 1 to 10 pixels."""
    mask = np.zeros((SIZE, SIZE), dtype=np.bool_)
    side = rng.randint(1, 10)
    left, top = rng.randint(0, SIZE - side), rng.randint(0, SIZE - side)
    mask[top : top + side, left : left + side] = True
    return mask


PARTIAL: Mapping[str, Callable[[random.Random], Mask]] = MappingProxyType(
    {"box": _box, "disc": _disc, "half plane": _half_plane, "stroke": _stroke, "blob": _blob, "tiny": _tiny}
)
"""Masks that cover a part of a picture, by kind."""


def partial_mask(rng: random.Random, kind: str) -> Mask:
    """A mask of the kind, sometimes inverted."""
    mask = PARTIAL[kind](rng)
    return ~mask if rng.random() < INVERTED else mask


def random_mask(rng: random.Random) -> Mask:
    """A mask of all of a picture, of none of it, or of a part of any kind."""
    drawn = rng.random()
    if drawn < EVERYTHING:
        return np.ones((SIZE, SIZE), dtype=np.bool_)
    if drawn < EVERYTHING + NOTHING:
        return np.zeros((SIZE, SIZE), dtype=np.bool_)
    return partial_mask(rng, rng.choice(tuple(PARTIAL)))
