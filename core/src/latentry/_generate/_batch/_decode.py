"""From latents to pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from PIL.Image import Image
from torch import Tensor

from latentry._contract._model import Model
from latentry._discovery import PluginHost
from latentry._generate._batch._finite import Source, all_finite, dtype_of, non_finite
from latentry._generate._batch._images import to_pictures
from latentry._generate._batch._loop import Sampled
from latentry._generate._batch._paste import paste_kept
from latentry._generate._parameters import parameters
from latentry._jobs._company import Company
from latentry._request._given_noise import GivenNoise
from latentry._request._result import GenerationResult
from latentry._resolve._setup import Setup

Finished = Callable[[GenerationResult], None]
"""Called with the result of each batch as soon as it is decoded."""


def ignore(result: GenerationResult) -> None:
    """Does nothing."""


class Drawn(NamedTuple):
    """One batch of pictures.

    Attributes:
        indices: of the pictures in the request.
        sampled: their latents, on the CPU.
        pictures: as they were decoded.
    """

    indices: Sequence[int]
    sampled: Sampled
    pictures: list[Image]


def decode(model: Model, company: Company, sampled: Sampled) -> Tensor | None:
    """The pixels of one batch. None where the autoencoder gave values that are not finite."""
    pixels = company.decode(model, sampled.latents)
    return pixels if all_finite((pixels,)) else None


def to_drawn(indices: Sequence[int], sampled: Sampled, pixels: Tensor) -> Drawn:
    """One batch, with its pictures."""
    return Drawn(indices, sampled.to(torch.device("cpu")), to_pictures(pixels))


def in_float32(setup: Setup, model: Model) -> Setup:
    """The same setup with its autoencoder in float32, after it overflowed in its own dtype, and a note about it.

    Raises:
        NonFiniteError: it ran in float32 already.
    """
    dtype = dtype_of(model.networks["vae"]) if "vae" in model.networks else torch.float32
    if setup.float32_autoencoder or dtype.itemsize >= 4:
        raise non_finite(autoencoder_of(model))
    name = str(dtype).removeprefix("torch.")
    note = f"The autoencoder overflowed in {name} and was run again in float32."
    return replace(setup, float32_autoencoder=True, notes=(*setup.notes, note))


def autoencoder_of(model: Model) -> Source:
    """The source of what a model encodes and decodes."""
    return Source("the autoencoder", model=model, parts=("vae",) if "vae" in model.networks else ())


def to_result(
    host: PluginHost, drawn: Sequence[Drawn], setup: Setup, given: GivenNoise, notes: tuple[str, ...], model: Model
) -> GenerationResult | None:
    """The result of batches; None where there are none."""
    if not drawn:
        return None
    pictures = [picture for batch in drawn for picture in batch.pictures]
    return GenerationResult(
        images=paste_kept(pictures, (setup.larger or setup).inputs, setup.request.mask_feather),
        latents=torch.cat([batch.sampled.latents for batch in drawn]),
        recipes=tuple(setup.recipe(index, given) for batch in drawn for index in batch.indices),
        evaluations=max(batch.sampled.evaluations for batch in drawn),
        made_up=min(batch.sampled.made_up for batch in drawn),
        notes=notes,
        loaded=model.report,
        parameters=partial(parameters, host),
    )


def hand_out(
    host: PluginHost, batch: Drawn, setup: Setup, given: GivenNoise, model: Model, finished: Finished
) -> GenerationResult | None:
    """Gives the result of one batch away, and returns it; None where nobody wants it."""
    if finished is ignore:
        return None
    if (result := to_result(host, [batch], setup, given, setup.notes, model)) is not None:
        finished(result)
    return result
