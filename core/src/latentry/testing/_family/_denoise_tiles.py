"""Tiled denoising: what a network says of a part of a sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from latentry._contract._model import Model
from latentry._guidance._tiles import Tiles
from latentry._specs import VariantSpec
from latentry.testing._family._inputs import PROMPTS, SAME, Given, apart, given, normal, predicted
from latentry.testing._family._subject import FamilySubject
from latentry.testing._kit._record import summed
from latentry.testing._result import CheckResult


def denoise_tiles(subject: FamilySubject) -> Iterator[CheckResult]:
    """A sample that goes through the network in tiles, wide ones and then tall ones, gets in each what that gets as a
    picture of its own; a whole one gets the same bits before and after.

    Networks that are shown another picture beside the sample are not asked: it is not cut as the sample is.

    Troubleshooting: positions and whatever else depends on the size are made of the samples that ``predict`` is given,
    or kept by height and width, not by the number of tokens, of which a wide and a tall tile have as many.
    """
    for variant in subject.variants:
        if "inpainting" not in variant.tasks and not variant.least_references:
            faults = _faults(subject, variant)
            yield summed("denoise_tiles", "as pictures of their own", faults, case=variant.name)


def _faults(subject: FamilySubject, variant: VariantSpec) -> Iterator[str]:
    model, side = subject.model(variant), subject.side(variant)
    square = given(subject, variant, PROMPTS[:1])
    before = predicted(model, square)
    _, *whole = model.latent_shape(2 * side, 2 * side)
    x = normal(1, before.shape[1], *whole, seed=2) * model.process.at(lam=0.0).scale
    for words, shown in {"wide": (2 * side, side), "tall": (side, 2 * side)}.items():
        _, *part = model.latent_shape(*shown)
        tiles = Tiles(shown, (whole[0], whole[1]), (part[0], part[1]), overlap=0)
        own = given(subject, variant, PROMPTS[:1], size=shown)
        fresh = subject.loaded(variant)
        yield from (f"{words}: {fault}" for fault in _tile_faults(model, fresh, x, own, tiles))
    if not torch.equal(predicted(model, square), before):
        yield "afterwards a whole sample gets other bits"


def _tile_faults(model: Model, fresh: Model, x: Tensor, own: Given, tiles: Tiles) -> Iterator[str]:
    """Compares with what a model that has seen no other size says of each half of the samples."""
    along = -1 if tiles.part[1] < tiles.whole[1] else -2
    halves = [half.contiguous() for half in x.chunk(2, along)]
    alone = torch.cat([predicted(fresh, replace(own, x=half)) for half in halves], along)
    if (off := apart(tiles(x, lambda part: predicted(model, replace(own, x=part))), alone)) > SAME:
        yield f"a tile is off by {off:.1e} from what it gets alone"
