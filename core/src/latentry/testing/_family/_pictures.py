"""Checks of encoding and decoding pictures, and of tiles and slices."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from latentry._contract._model import Previews
from latentry._errors import OptionError
from latentry._specs import VariantSpec
from latentry.testing._family._inputs import SAME, apart, normal, pictures
from latentry.testing._family._subject import FamilySubject
from latentry.testing._kit._record import summed
from latentry.testing._result import CheckResult

TILES = (16, 32, 64, 128, 256, 512)
"""Sides that are tried, in pixels; a model may refuse some, and the smallest that it takes cuts its pictures up."""


def autoencoder(subject: FamilySubject) -> Iterator[CheckResult]:
    """Pictures become latents of the shape that ``latent_shape`` says, and latents pictures; both in float32.

    Troubleshooting: ``encode`` gives the mode of the posterior, and with ``noise`` a sample of it: zeros are the mode.
    A network on pixels gives the pixels themselves.
    """
    for variant in subject.variants:
        yield summed("autoencoder", "there and back", _autoencoder_faults(subject, variant), case=variant.name)


def _autoencoder_faults(subject: FamilySubject, variant: VariantSpec) -> Iterator[str]:
    model, side = subject.model(variant), subject.side(variant)
    shape, pixels = model.latent_shape(side, side), pictures(2, side)
    latents = model.encode(pixels)
    if tuple(latents.shape) != (2, *shape) or latents.dtype != torch.float32:
        yield f"encode gives {tuple(latents.shape)} in {latents.dtype}, and latent_shape is {shape}"
        return
    decoded = model.decode(latents)
    if tuple(decoded.shape) != (2, 3, side, side) or decoded.dtype != torch.float32:
        yield f"decode gives {tuple(decoded.shape)} in {decoded.dtype}"
    if not (latents.isfinite().all() and decoded.isfinite().all()) or latents.requires_grad or decoded.requires_grad:
        yield "values that are not finite, or that take gradients"
    if not torch.equal(model.encode(pixels), latents) or not torch.equal(model.decode(latents), decoded):
        yield "another result the second time"
    zeros = model.encode(pixels, torch.zeros(2, *shape))
    if apart(zeros, latents) > SAME:
        yield f"a sample with noise of zeros is off from the mode by {apart(zeros, latents):.1e}"
    alone = torch.cat([model.decode(model.encode(pixels[i : i + 1])) for i in (0, 1)])
    if apart(alone, decoded) > SAME:
        yield f"a picture of a batch is off by {apart(alone, decoded):.1e} from the same alone"
    wide = model.latent_shape(2 * side, side)
    if tuple(model.decode(normal(1, *wide)).shape) != (1, 3, side, 2 * side):
        yield f"{2 * side}×{side} pixels are not decoded as wide as that"


def preview(subject: FamilySubject) -> Iterator[CheckResult]:
    """A model that has previews makes one of each row's latents alone, of any size, in −1..1 and float32.

    Troubleshooting: bases of ``latentry.models`` fit a linear map to ``encode``; override ``preview`` where that fails.
    """
    for variant in subject.variants:
        model = subject.model(variant)
        if isinstance(model, Previews):
            yield summed("preview", "a row each, in −1..1", _preview_faults(subject, model, variant), case=variant.name)


def _preview_faults(subject: FamilySubject, model: Previews, variant: VariantSpec) -> Iterator[str]:
    side = subject.side(variant)
    latents = normal(2, *subject.model(variant).latent_shape(2 * side, side))
    shown = model.preview(latents)
    if shown.ndim != 4 or tuple(shown.shape[:2]) != (2, 3) or shown.shape[-1] != 2 * shown.shape[-2]:
        yield f"its shape is {tuple(shown.shape)}"
        return
    if shown.dtype != torch.float32 or shown.requires_grad:
        yield f"its dtype is {shown.dtype}, or it takes gradients"
    if not shown.isfinite().all():
        yield "values that are not finite"
    if apart(model.preview(latents[1:]), shown[1:]) > SAME:
        yield "it depends on the other rows"


def tiling(subject: FamilySubject) -> Iterator[CheckResult]:
    """Tiles and slices give pictures of the same size, the same where one tile holds it all, and end with the block.

    Troubleshooting: ``set_tiling`` returns a context manager that puts the earlier settings back, after an exception
    too. Sides that are not possible are an ``OptionError``.
    """
    for variant in subject.variants:
        yield summed("tiling", "the same picture, and put back", _tiling_faults(subject, variant), case=variant.name)


def _tiling_faults(subject: FamilySubject, variant: VariantSpec) -> Iterator[str]:
    model, side = subject.model(variant), subject.side(variant)
    latents = normal(2, *model.latent_shape(side, side))
    before = model.decode(latents)
    with model.set_tiling(None, slicing=True):
        off = apart(model.decode(latents), before)
    if off > SAME:
        yield f"picture by picture it is off by {off:.1e}"
    for tile in TILES:
        try:
            with model.set_tiling(tile):
                tiled: Tensor = model.decode(latents)
        except OptionError:
            continue
        if tiled.shape != before.shape or not tiled.isfinite().all():
            yield f"with tiles of {tile} pixels: {tuple(tiled.shape)}"
        elif tile >= 2 * side and apart(tiled, before) > SAME:
            yield f"with one tile of {tile} pixels it is off by {apart(tiled, before):.1e}"
    with model.set_tiling(None):
        if not torch.equal(model.decode(latents), before):
            yield "without tiles it is another picture"
    try:
        with model.set_tiling(TILES[-1], slicing=True):
            raise KeyError
    except KeyError:
        pass
    if not torch.equal(model.decode(latents), before):
        yield "the settings are not put back"
