"""Masks of every kind, and edits that a mask leaves room for."""

from __future__ import annotations

import random

import numpy as np
import pytest
from PIL import Image

from latentry_shapes._detection import detect
from latentry_shapes._scoring import compare
from latentry_shapes.edits import LEAST_KEPT, held_out_edits
from latentry_shapes.masks import EVERYTHING, INVERTED, NOTHING, PARTIAL, partial_mask, random_mask
from latentry_shapes.scenes import HELD_OUT, TRAINED


def test_masks_cover_everything_nothing_and_parts_of_every_size() -> None:
    rng = random.Random(0)
    masks = [random_mask(rng) for _ in range(3000)]
    assert all(mask.shape == (64, 64) and mask.dtype == np.bool_ for mask in masks)
    covered = np.array([mask.mean() for mask in masks])
    assert (covered == 1).mean() == pytest.approx(EVERYTHING, abs=0.04)
    assert (covered == 0).mean() == pytest.approx(NOTHING, abs=0.02)
    parts = covered[(covered > 0) & (covered < 1)]
    assert np.histogram(parts, bins=10, range=(0, 1))[0].min() > 0.04 * len(parts)


@pytest.mark.parametrize("kind", PARTIAL)
def test_partial_masks_are_never_the_same_and_sometimes_inverted(kind: str) -> None:
    rng = random.Random(1)
    masks = [partial_mask(rng, kind) for _ in range(400)]
    assert len({mask.tobytes() for mask in masks}) > 200
    assert all(mask.sum() > 0 for mask in masks)
    corners = np.mean([mask[0, 0] for mask in masks])
    assert INVERTED / 2 < corners < 0.8
    assert partial_mask(random.Random(2), kind).tobytes() == partial_mask(random.Random(2), kind).tobytes()


@pytest.mark.slow
def test_edits_replace_one_thing_by_a_held_out_pair() -> None:
    for edit in held_out_edits(60, 0):
        before, after = edit.before, edit.asked
        assert (before.background, before.relation) == (after.background, after.relation)
        changed = [(a, b) for a, b in zip(before.things, after.things, strict=True) if a != b]
        assert len(changed) == 1
        assert changed[0][0] in TRAINED
        assert changed[0][1] in HELD_OUT
        assert len(set(after.things)) == len(after.things)
        assert compare(before, detect(edit.picture)).all


@pytest.mark.slow
def test_the_mask_of_an_edit_covers_the_thing_and_keeps_some_of_the_picture() -> None:
    for edit in held_out_edits(60, 1):
        assert set(np.unique(np.asarray(edit.mask))) == {0, 255}
        assert edit.kept.mean() >= LEAST_KEPT
        erased = np.array(edit.picture)
        erased[~edit.kept] = np.asarray(edit.picture)[0, 0]  # a corner shows the background
        left = {(thing.color, thing.shape) for thing in detect(Image.fromarray(erased)).things}
        (gone,) = set(edit.before.things) - set(edit.asked.things)
        assert (gone.color, gone.shape) not in left


def test_edits_are_the_same_for_the_same_seed_only() -> None:
    masks = [[np.asarray(edit.mask).tobytes() for edit in held_out_edits(6, seed)] for seed in (0, 0, 1)]
    assert masks[0] == masks[1] != masks[2]
