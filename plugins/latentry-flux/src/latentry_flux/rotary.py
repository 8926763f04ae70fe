"""The rotary table of FLUX.1's positions (Su et al. 2021, arXiv:2104.09864), computed once and not at every step."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from latentry_flux.packing import positions

AXES = 3
"""How many coordinates a position has: 0, row and column."""
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

    diffusers' transformer joins the positions of text and picture and passes them on, whatever they are. A row of
    ``RotaryTables`` holds a token's cosines and then its sines.

    Args:
        own: diffusers' ``FluxPosEmbed``.
    """

    def __init__(self, own: Any) -> None:
        super().__init__()
        self.own = own

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines, (tokens, head size) each, of positions (tokens, 3) or rows (tokens, 2 · head size)."""
        if ids.shape[-1] == AXES:
            made: tuple[Tensor, Tensor] = self.own(ids)
            return made
        cos, sin = ids.chunk(2, dim=-1)
        return cos, sin


class RotaryTables:
    """The tables of one transformer, cached for the last few sizes.

    Args:
        rotary: makes them.
    """

    def __init__(self, rotary: Rotary) -> None:
        self._rotary = rotary
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
        text = torch.zeros((size.tokens, AXES), dtype=torch.int64, device=size.device)
        ids = torch.cat([text, positions(size.height, size.width, size.device)])
        with torch.inference_mode(False), torch.no_grad():  # they may be used under autograd later
            rows = torch.cat(self._rotary(ids), dim=-1)
        return rows[: size.tokens], rows[size.tokens :]
