"""What models are given in checks, and how their outputs are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from PIL import Image
from torch import Tensor

from latentry._contract._conditioning import Conditioning
from latentry._contract._model import Model
from latentry._contract._prompts._reference import Reference
from latentry._resolve._shown._inputs import digest
from latentry._specs import VariantSpec
from latentry.testing._family._subject import FamilySubject

PROMPTS = ("a red circle", "a blue square on a black background")
SAME = 1e-4
"""How far two ways of summing in float32 may be apart, relative to the largest value."""
DIFFERENT = 1e-6
"""How far apart results are at least that something has an effect on."""


@dataclass(frozen=True)
class Given:
    """Inputs of one evaluation.

    Attributes:
        x: samples (batch, channels, height, width), in the model's dtype.
        timestep: of all of them.
        conditioning: of the same batch.
    """

    x: Tensor
    timestep: float
    conditioning: Conditioning

    def row(self, index: int) -> Given:
        """One sample of the batch."""
        at = slice(index, index + 1)
        return Given(self.x[at], self.timestep, Conditioning({k: v[at] for k, v in self.conditioning.tensors.items()}))


def given(
    subject: FamilySubject,
    variant: VariantSpec,
    prompts: Sequence[str] = PROMPTS,
    *,
    model: Model | None = None,
    guidance: float = 3.5,
    lam: float = 0.0,
    size: tuple[int, int] | None = None,
    shown: Sequence[Image.Image] = (),
) -> Given:
    """Standard normal samples at λ = ``lam`` with encoded prompts, and with a mask where the network takes one.

    ``size`` is width and height in pixels, by default those of the checkpoint; ``shown`` are reference pictures, grey
    where there are none and the network needs some.
    """
    model = model or subject.model(variant)
    point = model.process.at(lam=lam)
    width, height = size or (subject.side(variant),) * 2
    grey = [Image.new("RGB", (width, height), "grey")] * variant.least_references
    references = tuple(Reference(digest(each), each) for each in shown or grey)
    settings = replace(subject.settings(variant, guidance), width=width, height=height, references=references)
    tensors = dict(model.encode_prompt(prompts, settings).tensors)
    if "inpainting" in variant.tasks:
        tensors |= model.inpainting(pictures(len(prompts), width, height), mask(len(prompts), width, height))
    x = normal(len(prompts), *model.latent_shape(width, height))
    return Given((x * point.scale).to(model.dtype), point.timestep, Conditioning(tensors))


def predicted(model: Model, inputs: Given, **options: tuple[int, ...]) -> Tensor:
    """The model's output."""
    with torch.no_grad():
        return model.predict(inputs.x, inputs.timestep, inputs.conditioning, **options)


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal values of a seed; those of one row do not depend on how many there are."""
    rows = [torch.randn(shape[1:], generator=torch.Generator().manual_seed(1000 * seed + i)) for i in range(shape[0])]
    return torch.stack(rows)


def pictures(count: int, width: int, height: int | None = None) -> Tensor:
    """Smooth pictures (count, 3, height, width) in −1..1, each another; square unless a height is given."""
    coarse = normal(count, 3, 4, 4, seed=1)
    return torch.nn.functional.interpolate(coarse, size=(height or width, width), mode="bilinear").clamp(-1, 1)


def mask(count: int, width: int, height: int | None = None) -> Tensor:
    """1 in the left half of (count, 1, height, width); square unless a height is given."""
    half = torch.zeros(count, 1, height or width, width)
    half[..., : width // 2] = 1
    return half


def apart(a: Tensor, b: Tensor) -> float:
    """The largest difference, relative to the largest value of ``b``; infinite where the shapes differ."""
    if a.shape != b.shape:
        return float("inf")
    largest = float(b.double().abs().max()) or 1.0
    return float((a.double() - b.double()).abs().max()) / largest
