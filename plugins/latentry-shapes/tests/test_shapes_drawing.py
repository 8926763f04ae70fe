"""Drawings show their scene."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from PIL import Image

from latentry_shapes._detection import detect
from latentry_shapes.drawing import draw, other_color, other_shape, place
from latentry_shapes.outlines import DISTANCES, Placement, coverage
from latentry_shapes.scenes import BACKGROUNDS, COLORS, HELD_OUT, PAIRS, SHAPES, Scene, partly_named, random_scene

AXES = {"left of": (0, -1), "right of": (0, 1), "above": (1, -1), "below": (1, 1)}
"""For each relation: the coordinate that decides it, and the sign of first minus second."""


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
        masks = [coverage(DISTANCES[t.shape], p) > 0.5 for t, p in zip(scene.things, placements, strict=True)]
        assert sum(masks).max() == 1


@pytest.mark.slow
def test_things_are_entirely_inside_the_picture() -> None:
    for scene, placements in placed(1500):
        for thing, placement in zip(scene.things, placements, strict=True):
            x, y, radius = placement
            cover = coverage(DISTANCES[thing.shape], (x + 16, y + 16, radius), 96)
            assert cover.sum() == pytest.approx(cover[16:-16, 16:-16].sum(), abs=1e-9)
            assert cover.sum() > 150


def test_pictures_have_the_background_and_the_colors() -> None:
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
    small = coverage(DISTANCES[shape], (32.0, 32.0, 14.0), 64)
    large = coverage(DISTANCES[shape], (64.0, 64.0, 28.0), 128).reshape(64, 2, 64, 2).mean(axis=(1, 3))
    assert abs(small - large).max() < 0.3
    assert small.sum() == pytest.approx(large.sum(), rel=0.01)


@pytest.mark.slow
def test_partly_named_things_almost_never_look_like_held_out_pairs() -> None:
    """To the judge, which asks for held-out pairs only."""
    rng, held, count = random.Random(6), 0, 0
    for _ in range(600):
        scene = partly_named(random_scene(rng), rng)
        for thing in detect(Image.fromarray(draw(scene, rng))).things:
            held += any((thing.color, thing.shape) == (pair.color, pair.shape) for pair in HELD_OUT)
            count += 1
    assert count > 900
    assert held / count < 0.01


@pytest.mark.parametrize("shape", SHAPES)
def test_unnamed_colours_are_visible_and_far_from_held_out_ones(shape: str) -> None:
    rng = random.Random(8)
    for _ in range(200):
        color = other_color(shape, rng)
        assert all(math.dist(color, ground) > 75 for ground in BACKGROUNDS.values())
        kept = [COLORS[pair.color] for pair in HELD_OUT if pair.shape == shape]
        assert all(math.dist(color, other) > 90 for other in kept)  # the judge takes colours within 75 for the same


def test_unnamed_shapes_stay_within_their_radius() -> None:
    rng = random.Random(9)
    for _ in range(100):
        cover = coverage(other_shape(rng.choice(tuple(COLORS)), rng), (32.0, 32.0, 20.0))
        y, x = np.mgrid[0:64, 0:64] + 0.5
        assert cover[np.hypot(x - 32, y - 32) > 1.15 * 20].max() == 0
        assert cover.sum() > 200
