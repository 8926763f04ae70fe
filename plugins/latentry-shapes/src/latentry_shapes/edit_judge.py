"""Judges the edits of an inpainting model: is the kept part kept, and is the rest as the prompt says?

The network alone is measured, by diffusers' pipeline, which neither blends nor pastes; and the engine, which does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from latentry_shapes._detection import detect
from latentry_shapes._progress import progress
from latentry_shapes._scoring import Score, Share, compare, count_right
from latentry_shapes.edits import Edit, held_out_edits
from latentry_shapes.painters import CHUNK, Editor, Picture, Reconstruct

UNEDITED = "unedited"
NETWORK = "network"
ENGINE = "engine"

MOST_CHANGE = 4.0
"""Bar for the kept part without blending, in 255ths."""
BARS: Mapping[str, float] = {"background": 95.0, "colours": 95.0, "relation": 90.0, "shapes": 80.0}
"""Bars for what is drawn, in percent, with and without blending."""


@dataclass(frozen=True)
class EditRow:
    """What one way of editing made of the edits.

    Attributes:
        pictures: the results.
        scores: of the results, compared with the requested scenes.
        shares: how many are right, by column.
        change: mean absolute difference of the kept part from the original picture, in 255ths.
        change_of_things: the same for pixels of the kept part that show something other than the background.
    """

    pictures: Sequence[Picture]
    scores: Sequence[Score]
    shares: Mapping[str, Share]
    change: float
    change_of_things: float


@dataclass(frozen=True)
class EditReport:
    """The judge's table for edits.

    ``UNEDITED`` is what the autoencoder makes of the original pictures: the least change that a model can reach
    without pasting, and the scores of a model that ignores the prompt.
    """

    edits: Sequence[Edit]
    rows: Mapping[str, EditRow]

    def missed(self) -> list[str]:
        """One sentence for each bar that is missed."""
        missed = [
            f"edits, {name}, {column}: {self.rows[name].shares[column].percent:.1f} %, the bar is {bar:g} %"
            for name in (NETWORK, ENGINE)
            for column, bar in BARS.items()
            if self.rows[name].shares[column].of and self.rows[name].shares[column].percent < bar
        ]
        change = self.rows[NETWORK].change
        if change > MOST_CHANGE:
            missed.append(f"edits, {NETWORK}, kept part: {change:.2f} of 255, the bar is {MOST_CHANGE:g}")
        return missed


def judge_edits(
    network: Editor, engine: Editor, reconstruct: Reconstruct, *, count: int = 96, seed: int = 0
) -> EditReport:
    """Makes the same held-out edits in each way and measures them.

    Args:
        network: edits without blending and without pasting.
        engine: edits as Latentry does.
        reconstruct: encodes and decodes with the model's autoencoder.
        count: number of edits.
        seed: of the edits and of the pictures.
    """
    edits = held_out_edits(count, seed)
    results = {
        UNEDITED: reconstruct([edit.picture for edit in edits]),
        NETWORK: _edit_all(network, edits, seed, NETWORK),
        ENGINE: _edit_all(engine, edits, seed, ENGINE),
    }
    return EditReport(edits, {name: measure(edits, pictures) for name, pictures in results.items()})


def measure(edits: Sequence[Edit], pictures: Sequence[Picture]) -> EditRow:
    """Measures the results of edits. Every kept pixel counts the same, whichever picture it belongs to."""
    scores = [compare(edit.asked, detect(picture)) for edit, picture in zip(edits, pictures, strict=True)]
    changes = [edit.difference(picture) for edit, picture in zip(edits, pictures, strict=True)]
    kept = np.concatenate([change[edit.kept] for edit, change in zip(edits, changes, strict=True)])
    things = np.concatenate([change[edit.kept_things] for edit, change in zip(edits, changes, strict=True)])
    return EditRow(pictures, scores, count_right(scores), _mean(kept), _mean(things))


def _mean(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    return float(values.mean()) if values.size else 0.0


def _edit_all(editor: Editor, edits: Sequence[Edit], seed: int, title: str) -> list[Picture]:
    pictures: list[Picture] = []
    with progress(title, 0, len(edits)) as report:
        for start in range(0, len(edits), CHUNK):
            pictures += editor(edits[start : start + CHUNK], seed + start)
            report(len(pictures), "")
    return pictures
