"""Serves the attention layers of diffusers' UNet and autoencoder through a backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from torch import Tensor, nn

from latentry import AttentionBackend, OptionError

ROLES = ("self", "cross", "vae")


class BackendProcessor:
    """What diffusers' ``Attention`` calls in place of its own processor.

    Attributes:
        backend: computes softmax(q·kᵀ·scale + mask)·v.
    """

    def __init__(self, backend: AttentionBackend) -> None:
        self.backend = backend

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """One attention layer; hidden states are (batch, tokens, width) or (batch, channels, height, width)."""
        shape, residual = hidden_states.shape, hidden_states
        if attn.spatial_norm is not None:
            hidden_states = attn.spatial_norm(hidden_states, temb)
        if len(shape) == 4:
            hidden_states = hidden_states.flatten(2).transpose(1, 2)
        if attn.group_norm is not None:
            hidden_states = attn.group_norm(hidden_states.transpose(1, 2)).transpose(1, 2)
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        if encoder_hidden_states is not None and attn.norm_cross:
            context = attn.norm_encoder_hidden_states(encoder_hidden_states)
        q, k, v = (
            project(states).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for project, states in ((attn.to_q, hidden_states), (attn.to_k, context), (attn.to_v, context))
        )
        mask = None
        if attention_mask is not None:
            rows = attn.prepare_attention_mask(attention_mask, context.shape[1], shape[0])
            mask = rows.view(shape[0], attn.heads, -1, rows.shape[-1])
        joined = self.backend.attend(q, k, v, mask=mask, scale=attn.scale).transpose(1, 2).flatten(2)
        out: Tensor = attn.to_out[1](attn.to_out[0](joined.to(q.dtype)))
        if len(shape) == 4:
            out = out.transpose(1, 2).reshape(shape)
        if attn.residual_connection:
            out = out + residual
        scaled: Tensor = out / attn.rescale_output_factor
        return scaled


class Routing:
    """Which processor serves which attention layer of one model.

    Args:
        networks: the networks by part, ``unet`` and ``vae``.
    """

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        self._layers: dict[str, list[Any]] = {role: [] for role in ROLES}
        for part, network in networks.items():
            for layer in network.modules():
                if hasattr(layer, "set_processor") and hasattr(layer, "to_q"):
                    role = "vae" if part == "vae" else "cross" if layer.is_cross_attention else "self"
                    self._layers[role].append(layer)
        self._own = {id(layer): layer.processor for layers in self._layers.values() for layer in layers}

    def set(self, backend: AttentionBackend | None, role: str | None) -> AbstractContextManager[None]:
        """Sets the processors now; leaving the returned context puts back what was there before."""
        if role is not None and role not in ROLES:
            raise OptionError(f"There is no attention role {role!r} here.", remedy=f"Roles are {', '.join(ROLES)}.")
        layers = [layer for name in ROLES if role in (None, name) for layer in self._layers[name]]
        before = [layer.processor for layer in layers]
        processor = None if backend is None else BackendProcessor(backend)
        for layer in layers:
            layer.set_processor(self._own[id(layer)] if processor is None else processor)
        return _restoring(layers, before)


@contextmanager
def _restoring(layers: list[Any], before: list[Any]) -> Iterator[None]:
    try:
        yield
    finally:
        for layer, processor in zip(layers, before, strict=True):
            layer.set_processor(processor)
