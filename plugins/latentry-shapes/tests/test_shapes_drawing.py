"""Drawings show what their scene says."""

from __future__ import annotations

import random

import numpy as np
import pytest

from latentry_shapes.drawing import Placement, coverage, draw, place
from latentry_shapes.scenes import BACKGROUNDS, COLORS, PAIRS, SHAPES, Scene, random_scene

AXES = {"left of": (0, -1), "right of": (0, 1), "above": (1, -1), "below": (1, 1)}
"""Relation: coordinate that tells, and the sign of first minus second."""


def placed(count: int) -> list[tuple[Scene, tuple[Placement, ...]]]:
    rng = random.Random(2)
    scenes = [random_scene(rng, PAIRS) for _ in range(count)]
    return [(scene, place(scene, rng)) for scene in scenes]


def test_relations_hold_and_outweigh_the_other_axis() -> None:
    for scene, placements in placed(2000):
        if scene.relation is None:
            continue
        first, second = placements
        axis, sign = AXES[scene.relation]
        along, across = first[axis] - second[axis], first[1 - axis] - second[1 - axis]
        assert along * sign > abs(across) + 10


def test_things_do_not_overlap() -> None:
    for scene, placements in placed(1500):
        masks = [coverage(t.shape, p) > 0.5 for t, p in zip(scene.things, placements, strict=True)]
        assert sum(masks).max() == 1


def test_things_lie_wholly_inside() -> None:
    for scene, placements in placed(1500):
        for thing, placement in zip(scene.things, placements, strict=True):
            x, y, radius = placement
            cover = coverage(thing.shape, (x + 16, y + 16, radius), 96)
            assert cover.sum() == pytest.approx(cover[16:-16, 16:-16].sum(), abs=1e-9)
            assert cover.sum() > 150


def test_pictures_hold_the_background_and_the_colors() -> None:
    rng = random.Random(3)
    for _ in range(300):
        scene = random_scene(rng, PAIRS)
        picture = draw(scene, rng)
        assert picture.shape == (64, 64, 3)
        assert picture.dtype == np.uint8
        for corner in picture[::63, ::63].reshape(4, 3):
            assert tuple(corner) == BACKGROUNDS[scene.background]
        for thing in scene.things:
            assert (picture == COLORS[thing.color]).all(axis=-1).sum() > 100


def test_the_same_seed_draws_the_same_picture() -> None:
    scene = random_scene(random.Random(4), PAIRS)
    assert np.array_equal(draw(scene, random.Random(5)), draw(scene, random.Random(5)))
    assert not np.array_equal(draw(scene, random.Random(5)), draw(scene, random.Random(6)))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_drawing_of_twice_the_size_is_the_same_scaled(shape: str) -> None:
    small = coverage(shape, (32.0, 32.0, 14.0), 64)
    large = coverage(shape, (64.0, 64.0, 28.0), 128).reshape(64, 2, 64, 2).mean(axis=(1, 3))
    assert abs(small - large).max() < 0.3
    assert small.sum() == pytest.approx(large.sum(), rel=0.01)
