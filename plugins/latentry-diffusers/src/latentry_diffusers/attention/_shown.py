"""Pictures that cross-attention is shown beside the text (Ye et al. 2023, IP-Adapter, arXiv:2308.06721)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from latentry import IncompatibleError
from latentry.attention import AttentionBackend
from latentry_diffusers.attention._heads import joined, split

KEY = re.compile(r"cross\.(\d+)\.key\.(\d+)")
"""Layer and picture of a key's injection point; its value is at ``cross.LAYER.value.PICTURE``."""


@dataclass(frozen=True)
class Shown:
    """Keys and values of pictures, for some layers.

    Attributes:
        layers: pairs of (batch, tokens, width) by the ``id`` of diffusers' layer.
    """

    layers: Mapping[int, Sequence[tuple[Tensor, Tensor]]]

    @staticmethod
    def of(shown: Shown | None, layer: Any) -> Sequence[tuple[Tensor, Tensor]]:
        """The pairs of a layer."""
        return () if shown is None else shown.layers.get(id(layer), ())


def shown_states(
    backend: AttentionBackend, q: Tensor, pairs: Sequence[tuple[Tensor, Tensor]], *, scale: float | None = None
) -> Tensor | None:
    """What queries (batch, heads, tokens, head size) find in pictures, (batch, tokens, width); None without any."""
    states: Tensor | None = None
    for pair in pairs:
        k, v = (split(lambda tensor: tensor, each.to(q.dtype), q.shape[1]) for each in pair)
        found = joined(backend.attend(q, k, v, scale=scale), q.dtype)
        states = found if states is None else states + found
    return states


def cross_layers(denoiser: nn.Module) -> list[Any]:
    """The layers that attend to the text, in the order in which the network lists them."""
    return [
        layer
        for layer in denoiser.modules()
        if hasattr(layer, "set_processor")
        and (getattr(layer, "is_cross_attention", False) or getattr(layer, "add_q_proj", None) is not None)
    ]


def shown_to(layers: Sequence[Any], injected: Mapping[str, Tensor] | None) -> Shown | None:
    """What the layers are shown of what conditioners inject; None where that is nothing.

    Raises:
        IncompatibleError: a layer is not served by a backend.
    """
    found: dict[int, list[tuple[Tensor, Tensor]]] = {}
    for name in injected or {}:
        if injected is None or (match := KEY.fullmatch(name)) is None:
            continue
        layer = layers[int(match[1])]
        if "shown" not in getattr(layer.processor, "takes", ()):
            raise IncompatibleError(
                "Layers that compute attention natively cannot be shown a picture.",
                why="It is attended to where a backend is called.",
                remedy="Use an attention backend, such as sdpa.",
                field="attention",
            )
        pair = (injected[name], injected[f"cross.{match[1]}.value.{match[2]}"])
        found.setdefault(id(layer), []).append(pair)
    return Shown(found) if found else None
