"""Rotary tables of positions (Su et al. 2021, arXiv:2104.09864), computed once and not at every step."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

CAPACITY = 8
"""How many tables a model keeps; one has 8·(tokens · head size) bytes."""


class Size(NamedTuple):
    """What a table depends on: tokens of the text, height and width of the latents, and the device."""

    tokens: int
    height: int
    width: int
    device: torch.device


class Rotary(nn.Module):
    """Replaces a transformer's ``pos_embed``; it also accepts rows that it has computed already.

    diffusers' transformers join positions and pass them on, whatever they are. A row of ``RotaryTables`` holds a
    token's cosines and then its sines.

    Args:
        own: diffusers' ``FluxPosEmbed`` or ``Flux2PosEmbed``.
    """

    def __init__(self, own: Any) -> None:
        super().__init__()
        self.own, self._axes = own, len(own.axes_dim)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines, (tokens, head size) each, of positions (tokens, axes) or rows (tokens, 2 · head size)."""
        if ids.shape[-1] == self._axes:
            made: tuple[Tensor, Tensor] = self.own(ids)
            return made
        cos, sin = ids.chunk(2, dim=-1)
        return cos, sin

    def rows(self, ids: Tensor) -> Tensor:
        """The rows of positions, (tokens, 2 · head size), float32; they may be used under autograd later."""
        with torch.inference_mode(False), torch.no_grad():
            return torch.cat(self(ids), dim=-1)


class RotaryTables:
    """The tables of one transformer, cached for the last few sizes.

    Args:
        rotary: makes them.
        text: the positions of a text of so many tokens, (tokens, axes).
        picture: those of latents of a height and width, likewise.
    """

    def __init__(
        self,
        rotary: Rotary,
        text: Callable[[int, torch.device], Tensor],
        picture: Callable[[int, int, torch.device], Tensor],
    ) -> None:
        self._rotary, self._text, self._picture = rotary, text, picture
        self._kept: OrderedDict[Size, tuple[Tensor, Tensor]] = OrderedDict()

    def __call__(self, size: Size) -> tuple[Tensor, Tensor]:
        """The rows of the text's tokens and those of the picture's, (tokens, 2 · head size), float32."""
        found = self._kept.get(size)
        if found is None:
            found = self._rows(size)
            self._kept[size] = found
            while len(self._kept) > CAPACITY:
                self._kept.popitem(last=False)
        return found

    def _rows(self, size: Size) -> tuple[Tensor, Tensor]:
        text = self._text(size.tokens, size.device)
        rows = self._rotary.rows(torch.cat([text, self._picture(size.height, size.width, size.device)]))
        return rows[: size.tokens], rows[size.tokens :]
