"""One tensor of an original layout, and what it is in diffusers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Form = Literal["same", "conv", "halves", "transposed"]


@dataclass(frozen=True)
class Pair:
    """One tensor of an original layout and those of diffusers that it holds.

    Attributes:
        original: its name there, without the prefix of its part.
        diffusers: its names here; several are stacked there along the first dimension, in this order.
        form: what else differs. ``conv``: a 1×1 convolution (o, i, 1, 1) there, a linear layer (o, i) here; ``halves``:
            the two halves of the first dimension are exchanged; ``transposed``: (i, o) there, (o, i) here.
        rows: how many rows each stacked tensor has, where they are not equally many.
    """

    original: str
    diffusers: tuple[str, ...]
    form: Form = "same"
    rows: tuple[int, ...] | None = None


def forward(pair: Pair, tensor: Tensor) -> dict[str, Tensor]:
    """The tensors of diffusers, as views of the original one wherever that can be."""
    if len(pair.diffusers) == 1:
        return {pair.diffusers[0]: _formed(pair.form, tensor, conv=False)}
    sizes = pair.rows or (tensor.shape[0] // len(pair.diffusers),) * len(pair.diffusers)
    return dict(zip(pair.diffusers, torch.split(tensor, list(sizes)), strict=True))


def backward(pair: Pair, tensors: Mapping[str, Tensor]) -> Tensor:
    """The original tensor, from those of diffusers by name."""
    if len(pair.diffusers) == 1:
        return _formed(pair.form, tensors[pair.diffusers[0]], conv=True)
    return torch.cat([tensors[name] for name in pair.diffusers])


def _formed(form: Form, tensor: Tensor, *, conv: bool) -> Tensor:
    """Either way; ``conv`` says which where that is not the same."""
    if form == "conv":
        return tensor[:, :, None, None] if conv else tensor[:, :, 0, 0]
    if form == "halves":
        return torch.cat(list(tensor.chunk(2))[::-1])
    return tensor.T if form == "transposed" else tensor
