"""One tensor of an original layout and its counterpart in diffusers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Form = Literal["same", "conv", "halves", "transposed", "interleaved"]


@dataclass(frozen=True)
class Pair:
    """One tensor of an original layout and those of diffusers that it holds.

    Attributes:
        original: its name in the original layout, without the prefix of its part.
        diffusers: its names in diffusers; the original stacks several along the first dimension, in this order.
        form: how else they differ. ``conv``: the original is a 1×1 convolution (o, i, 1, 1), diffusers' a linear layer
            (o, i); ``halves``: the halves of the first dimension are swapped; ``transposed``: the original is (i, o);
            ``interleaved``: each head's rows alternate between its two halves in the original.
        rows: how many rows each stacked tensor has, where they are not equally many.
        heads: of an ``interleaved`` tensor.
    """

    original: str
    diffusers: tuple[str, ...]
    form: Form = "same"
    rows: tuple[int, ...] | None = None
    heads: int = 1


def forward(pair: Pair, tensor: Tensor) -> dict[str, Tensor]:
    """The tensors of diffusers, as views of the original one wherever possible."""
    if len(pair.diffusers) == 1:
        return {pair.diffusers[0]: _formed(pair, tensor, back=False)}
    sizes = pair.rows or (tensor.shape[0] // len(pair.diffusers),) * len(pair.diffusers)
    import torch

    return dict(zip(pair.diffusers, torch.split(tensor, list(sizes)), strict=True))


def backward(pair: Pair, tensors: Mapping[str, Tensor]) -> Tensor:
    """The original tensor, from those of diffusers by name."""
    if len(pair.diffusers) == 1:
        return _formed(pair, tensors[pair.diffusers[0]], back=True)
    import torch

    return torch.cat([tensors[name] for name in pair.diffusers])


def _formed(pair: Pair, tensor: Tensor, *, back: bool) -> Tensor:
    """Converts in either direction; ``back`` is to the original."""
    if pair.form == "conv":
        return tensor[:, :, None, None] if back else tensor[:, :, 0, 0]
    if pair.form == "halves":
        import torch

        return torch.cat(list(tensor.chunk(2))[::-1])
    if pair.form == "interleaved":
        half = len(tensor) // pair.heads // 2
        rows = tensor.reshape(pair.heads, *((2, half) if back else (half, 2)), -1)
        return rows.transpose(1, 2).reshape(tensor.shape)
    return tensor.T if pair.form == "transposed" else tensor
