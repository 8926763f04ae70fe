"""Serves attention of transformers' text encoders, through an entry in its table of attention implementations.

The table is global to the process. The entry is one function that reads the backend from each layer, so models do not
affect each other.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor, nn

from latentry.attention import AttentionBackend, AttentionDemand

log = logging.getLogger("latentry.attention")

NAME = "latentry"
"""The name of our entry in transformers' tables."""
SLOT = "_latentry_attention"
"""Where a layer keeps its backend."""


class TextEncoder:
    """The attention layers of a text encoder, which are served together.

    Args:
        network: transformers' model.
        number: its number among the model's text encoders, from 1.

    Attributes:
        role: ``text``.
        label: which encoder it is, in words.
    """

    role = "text"

    def __init__(self, network: Any, number: int) -> None:
        self._network = network
        self._own: str = network.config._attn_implementation
        self._layers: list[Any] = [module for module in network.modules() if hasattr(module, "is_causal")]
        self.label = f"the attention of text encoder {number}"

    @property
    def can_be_served(self) -> bool:
        """Whether this version of transformers lets a backend serve it; older ones do not for T5."""
        return bool(self._layers)

    @property
    def demand(self) -> AttentionDemand:
        """What a backend can know about its calls beforehand; T5's have a bias and no scale."""
        layer = self._layers[0]
        biased = hasattr(layer, "key_value_proj_dim")
        size = layer.key_value_proj_dim if biased else layer.head_dim
        return AttentionDemand(head_size=size, mask=biased, scale=biased)

    @property
    def state(self) -> AttentionBackend | None:
        """The backend that serves the layers; None if transformers computes them itself."""
        backend: AttentionBackend | None = self._layers[0].__dict__.get(SLOT)
        return backend

    @state.setter
    def state(self, backend: AttentionBackend | None) -> None:
        self.serve(backend)

    def check(self) -> None:
        """Accepts every text encoder whose implementation transformers lets us choose."""

    def serve(self, backend: AttentionBackend | None) -> None:
        """Serves the layers through a backend; None restores their own implementation."""
        if backend is not None:
            _register()
        for layer in self._layers:
            layer.__dict__[SLOT] = backend  # bypasses nn.Module, which would register a backend that is a module
        self._network.set_attn_implementation(self._own if backend is None else NAME)
        if backend is not None and self._network.config._attn_implementation != NAME:
            log.warning("attention: transformers does not let a backend serve %s", self.label)


def _register() -> None:
    """Adds our entry to transformers' tables. Idempotent."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)  # boolean; None where all keys take part, or all up to the token


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    is_causal: bool | None = None,
    position_bias: Tensor | None = None,
    **rest: Any,
) -> tuple[Tensor, None]:
    """Called by transformers; q, k, v are (batch, heads, tokens, head size), the result has tokens before heads."""
    backend: AttentionBackend | None = module.__dict__.get(SLOT)
    if backend is None:  # its model shares a configuration with a model that is served
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        options = {"scaling": scaling, "is_causal": is_causal, "position_bias": position_bias}
        own: tuple[Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **options, **rest)
        return own
    if (groups := getattr(module, "num_key_value_groups", 1)) > 1:  # several heads of q share one of k and v
        key, value = (each.repeat_interleave(groups, dim=1) for each in (key, value))
    causal = attention_mask is None and bool(module.is_causal if is_causal is None else is_causal)
    mask = attention_mask if position_bias is None else _with_bias(attention_mask, position_bias)
    out = backend.attend(query, key, value, mask=mask, scale=scaling, causal=causal)
    return out.transpose(1, 2).contiguous(), None


def _with_bias(mask: Tensor | None, bias: Tensor) -> Tensor:
    """T5's position bias with the attention mask applied."""
    if mask is None:
        return bias
    return bias.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else bias + mask
