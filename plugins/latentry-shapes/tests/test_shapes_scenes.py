"""What training shows, what it keeps back, and what captions say."""

from __future__ import annotations

import random

from latentry_shapes.scenes import (
    COLORS,
    HELD_OUT,
    PAIRS,
    RELATIONS,
    SHAPES,
    TRAINED,
    Scene,
    Thing,
    random_scene,
    words,
)


def scenes(count: int, pairs: tuple[Thing, ...]) -> list[Scene]:
    rng = random.Random(1)
    return [random_scene(rng, pairs) for _ in range(count)]


def test_training_never_shows_a_held_out_pair() -> None:
    rng = random.Random(0)
    shown = {thing for _ in range(5000) for thing in random_scene(rng).things}
    assert not shown & set(HELD_OUT)
    assert shown == set(TRAINED)


def test_training_shows_every_color_and_shape() -> None:
    assert {thing.color for thing in TRAINED} == {thing.color for thing in HELD_OUT} == set(COLORS)
    assert {thing.shape for thing in TRAINED} == {thing.shape for thing in HELD_OUT} == set(SHAPES)
    assert len(set(TRAINED) | set(HELD_OUT)) == len(TRAINED) + len(HELD_OUT) == len(PAIRS) == 48


def test_two_held_out_things_differ_in_color() -> None:
    for scene in scenes(1000, HELD_OUT):
        assert len({thing.color for thing in scene.things}) == len(scene.things)


def test_two_things_have_a_relation_and_one_has_none() -> None:
    for scene in scenes(500, PAIRS):
        assert (scene.relation in RELATIONS) == (len(scene.things) == 2)
        assert len(set(scene.things)) == len(scene.things)


def test_captions_read_as_written() -> None:
    two = Scene("black", (Thing("orange", "circle"), Thing("blue", "square")), "left of")
    assert two.caption() == "an orange circle left of a blue square on a black background"
    assert two.caption(background=False) == "an orange circle left of a blue square"
    assert Scene("gray", (Thing("red", "ring"),)).caption() == "a red ring on a gray background"


def test_captions_hold_known_words_only() -> None:
    used = {word for scene in scenes(2000, PAIRS) for word in scene.caption().split()}
    assert used == set(words())
