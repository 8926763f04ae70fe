"""Edits to judge an inpainting model by: one thing is replaced by a held-out pair, the rest of the picture is kept."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from latentry_shapes.drawing import draw_at, place
from latentry_shapes.masks import PARTIAL, Mask, partial_mask
from latentry_shapes.outlines import Placement
from latentry_shapes.scenes import BACKGROUNDS, HELD_OUT, SIZE, Scene, random_scene

MARGIN = 1.25
"""How far a mask reaches at least around the thing that it covers, in radii of the thing."""
LEAST_KEPT = 0.25
"""Least share of a picture that a mask keeps."""
KINDS = tuple(kind for kind in PARTIAL if kind != "tiny")
"""Kinds of masks; a tiny one covers no thing, and its inverse keeps next to nothing."""

ATTEMPTS = 200
"""Masks that are tried before the kind is given up: few half planes cover a large thing and keep a quarter."""


@dataclass(frozen=True)
class Edit:
    """One edit.

    Attributes:
        before: the scene in the picture.
        placements: where its things are.
        asked: the scene after the edit; its caption is the prompt.
        picture: (SIZE, SIZE), RGB.
        mask: (SIZE, SIZE), L, 255 where the picture is to be drawn again.
    """

    before: Scene
    placements: tuple[Placement, ...]
    asked: Scene
    picture: Image.Image
    mask: Image.Image

    @property
    def kept(self) -> NDArray[np.bool_]:
        """(SIZE, SIZE), true where the picture must not change."""
        kept: NDArray[np.bool_] = np.asarray(self.mask) == 0
        return kept

    @property
    def kept_things(self) -> NDArray[np.bool_]:
        """(SIZE, SIZE), true where it must not change and shows something other than the background."""
        background = BACKGROUNDS[self.before.background]
        things: NDArray[np.bool_] = (np.asarray(self.picture) != background).any(axis=-1)
        return self.kept & things

    def difference(self, result: Image.Image) -> NDArray[np.float64]:
        """Mean absolute difference of the result from the picture over the channels, in 255ths: (SIZE, SIZE)."""
        before, after = (np.asarray(each.convert("RGB"), dtype=np.float64) for each in (self.picture, result))
        difference: NDArray[np.float64] = np.abs(before - after).mean(axis=-1)
        return difference


def held_out_edits(count: int, seed: int) -> list[Edit]:
    """Edits with masks of each kind in turn."""
    rng = random.Random(f"{seed} edits")
    return [_edit(rng, KINDS[i % len(KINDS)]) for i in range(count)]


def _edit(rng: random.Random, kind: str) -> Edit:
    before = random_scene(rng)
    placements = place(before, rng)
    which = rng.randrange(len(before.things))
    others = [thing for i, thing in enumerate(before.things) if i != which]
    things = list(before.things)
    things[which] = rng.choice([pair for pair in HELD_OUT if pair not in others])
    picture = Image.fromarray(draw_at(before, placements, rng))
    mask = Image.fromarray(np.where(_mask_over(placements[which], kind, rng), 255, 0).astype(np.uint8))
    return Edit(before, placements, replace(before, things=tuple(things)), picture, mask)


def _mask_over(placement: Placement, kind: str, rng: random.Random) -> Mask:
    """A mask that covers a thing and keeps enough of the picture."""
    x, y, radius = placement
    down, right = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    thing = np.hypot(right - x, down - y) <= MARGIN * radius
    attempts = 0
    while True:
        mask = partial_mask(rng, kind if attempts < ATTEMPTS else rng.choice(KINDS))
        if mask[thing].all() and (~mask).mean() >= LEAST_KEPT:
            return mask
        attempts += 1
