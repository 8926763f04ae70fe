"""The blocks of a denoiser in which the picture attends to itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torch import nn

from latentry import IncompatibleError, OptionError
from latentry.models import AttentionChange
from latentry_diffusers.attention._change import Changes, LayerChange
from latentry_diffusers.attention._layer import Layer

BLOCK = re.compile(r"((?:.+\.)?transformer_blocks\.\d+)\.")
"""Does not match FLUX's single blocks, where text and picture are one sequence."""
ORDER = {"down_blocks": 0, "mid_block": 1, "up_blocks": 2}
"""The order in which a UNet runs its blocks; it lists the middle block last."""


class AttentionBlocks:
    """The blocks in which the picture attends to itself, in the order of their use.

    Args:
        denoiser: diffusers' UNet or transformer.
    """

    def __init__(self, denoiser: nn.Module) -> None:
        found: dict[str, list[Any]] = {}
        for name, layer in denoiser.named_modules():
            block = BLOCK.match(f"{name}.")
            if block and hasattr(layer, "set_processor") and Layer(layer, "denoiser", name).role != "cross":
                found.setdefault(block[1], []).append(layer)
        names = sorted(found, key=lambda name: ORDER.get(name.partition(".")[0], 0))
        self._blocks = [found[name] for name in names]
        middle = [number for number, name in enumerate(names) if name.startswith("mid_block")]
        self.middle: Sequence[int] = middle or [len(names) // 2]

    def __len__(self) -> int:
        return len(self._blocks)

    def changes(self, change: AttentionChange, size: tuple[int, int]) -> Changes:
        """The option that the layers' processors take for one evaluation.

        Args:
            change: which blocks, and how their attention changes.
            size: rows and columns of the picture, in tokens of the finest level.

        Raises:
            OptionError: there is no such block.
            IncompatibleError: a layer is not served by a backend.
        """
        chosen = change.blocks or self.middle
        if max(chosen) >= len(self):
            raise OptionError(f"There is no attention block {max(chosen)}; the network has {len(self)}.")
        layers = [layer for number in chosen for layer in self._blocks[number]]
        if any("changes" not in getattr(layer.processor, "takes", ()) for layer in layers):
            raise IncompatibleError(
                "Attention cannot be changed in layers that compute it natively.",
                why="The change is made where a backend is called.",
                remedy="Use an attention backend, such as sdpa.",
                field="attention",
            )
        return Changes(frozenset(map(id, layers)), LayerChange(change.blur, size))
