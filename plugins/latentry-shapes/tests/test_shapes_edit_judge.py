"""The judge of edits: a right edit passes, and each fault shows in its own figure."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from PIL import Image

from latentry_shapes.drawing import draw_at
from latentry_shapes.edit_judge import ENGINE, MOST_CHANGE, NETWORK, UNEDITED, judge_edits, measure
from latentry_shapes.edits import Edit, held_out_edits
from latentry_shapes.painters import Editor

Picture = Image.Image
COUNT = 48


def redrawn(edit: Edit) -> Picture:
    """The requested scene with its things where the picture has them."""
    return Image.fromarray(draw_at(edit.asked, edit.placements, random.Random(0)))


def pasted(edit: Edit, picture: Picture) -> Picture:
    """The picture inside the mask and the original outside."""
    return Image.composite(picture, edit.picture, edit.mask)


def editor(make: Callable[[Edit], Picture]) -> Editor:
    return lambda edits, seed: [make(edit) for edit in edits]


RIGHT = editor(lambda edit: pasted(edit, redrawn(edit)))


@pytest.mark.slow
def test_a_right_edit_reaches_every_bar() -> None:
    report = judge_edits(RIGHT, RIGHT, list, count=COUNT)
    assert report.missed() == []
    for row in (NETWORK, ENGINE):
        assert report.rows[row].shares["all"].percent > 97
        assert report.rows[row].change == report.rows[row].change_of_things == 0.0


@pytest.mark.slow
def test_a_picture_that_is_not_edited_keeps_everything_and_shows_nothing_that_was_asked() -> None:
    row = judge_edits(RIGHT, RIGHT, list, count=COUNT).rows[UNEDITED]
    assert row.change == 0.0
    assert row.shares["background"].percent == 100
    assert row.shares["all"].right == 0


@pytest.mark.slow
def test_a_network_that_ignores_its_mask_misses_the_bar() -> None:
    """It draws the requested scene with the background that was asked, but the kept thing at another place."""

    def elsewhere(edit: Edit) -> Picture:
        return redrawn(edit).transpose(Image.Transpose.ROTATE_180)

    report = judge_edits(editor(elsewhere), RIGHT, list, count=COUNT)
    assert report.rows[NETWORK].change_of_things > 40
    assert any("kept part" in line for line in report.missed())
    assert all(NETWORK in line for line in report.missed())


@pytest.mark.slow
@pytest.mark.parametrize("shift", [1, 9])
def test_the_change_is_the_mean_difference_of_the_kept_part_alone(shift: int) -> None:
    def shifted(edit: Edit) -> Picture:
        pixels = np.asarray(edit.picture).astype(int)
        towards = np.where(pixels < 128, shift, -shift)
        return Image.fromarray((pixels + np.where(edit.kept[..., None], towards, 0)).astype(np.uint8))

    def inside(edit: Edit) -> Picture:
        return pasted(edit, Image.new("RGB", (64, 64), (1, 2, 3)))

    edits = held_out_edits(12, 3)
    assert measure(edits, [shifted(edit) for edit in edits]).change == pytest.approx(shift)
    assert measure(edits, [inside(edit) for edit in edits]).change == 0.0


@pytest.mark.slow
def test_the_bar_for_the_kept_part_is_for_the_network_alone() -> None:
    def loud(edits: Sequence[Edit], seed: int) -> list[Picture]:
        made = [np.asarray(pasted(edit, redrawn(edit))).astype(int) for edit in edits]
        change = round(MOST_CHANGE) + 2
        return [Image.fromarray(np.where(each < 128, each + change, each - change).astype(np.uint8)) for each in made]

    assert judge_edits(RIGHT, loud, list, count=12).missed() == []
    (missed,) = judge_edits(loud, RIGHT, list, count=12).missed()
    assert missed.endswith("of 255, the bar is 4")
