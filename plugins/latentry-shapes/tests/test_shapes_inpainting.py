"""The shipped inpainting model without blending: it keeps what its mask keeps, and draws what the prompt says.

diffusers' pipeline shows the network's own output, also where the picture is to be kept. No seed here is one that the
training or the judge uses.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from latentry_shapes.edit_judge import MOST_CHANGE, measure
from latentry_shapes.edits import held_out_edits
from latentry_shapes.painters import Editor, pipeline_editor, reconstruction
from latentry_shapes_inpainting import folder

pytestmark = pytest.mark.slow
COUNT = 24


@pytest.fixture(scope="module")
def network() -> Editor:
    return pipeline_editor(folder(), steps=25, guidance=1.5)


@pytest.mark.parametrize("seed", [1201, 1202])
def test_masks_of_every_kind_keep_the_rest_and_draw_what_is_asked(network: Editor, seed: int) -> None:
    edits = held_out_edits(COUNT, seed)
    row = measure(edits, network(edits, seed))
    assert row.change <= MOST_CHANGE
    assert row.shares["background"].percent >= 95
    assert row.shares["all"].percent >= 87


def test_a_mask_of_nothing_keeps_the_whole_picture(network: Editor) -> None:
    nothing = Image.new("L", (64, 64))
    edits = [replace(edit, mask=nothing, asked=edit.before) for edit in held_out_edits(COUNT, 1203)]
    assert measure(edits, network(edits, 7)).change <= MOST_CHANGE


def test_the_autoencoder_alone_changes_less_than_the_bar() -> None:
    edits = held_out_edits(COUNT, 1204)
    change = measure(edits, reconstruction(folder())([edit.picture for edit in edits])).change
    assert 0 < change < MOST_CHANGE / 2


def test_a_picture_that_ignores_its_mask_would_be_noticed(network: Editor) -> None:
    """With a mask of everything the same network draws the same scenes without seeing the picture."""
    edits = held_out_edits(COUNT, 1201)
    everything = Image.new("L", (64, 64), 255)
    pictures = network([replace(edit, mask=everything) for edit in edits], 1201)
    kept = [edit.difference(picture)[edit.kept].mean() for edit, picture in zip(edits, pictures, strict=True)]
    assert np.mean(kept) > MOST_CHANGE
