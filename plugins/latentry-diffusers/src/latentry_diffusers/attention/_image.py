"""Attention of UNets and autoencoders, over tokens or over feature maps."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from latentry_diffusers.attention._change import Changes
from latentry_diffusers.attention._heads import joined, split
from latentry_diffusers.attention._processor import Processor
from latentry_diffusers.attention._shown import Shown, shown_states


class BackendProcessor(Processor):
    """What diffusers' ``Attention`` calls in place of its ``AttnProcessor2_0``."""

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        changes: Changes | None = None,
        shown: Shown | None = None,
    ) -> Tensor:
        """Runs one attention layer; hidden states are (batch, tokens, width) or (batch, channels, height, width)."""
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
        change = Changes.of(changes, attn)
        q = split(change.query(attn.to_q), hidden_states, attn.heads, attn.norm_q)
        k = split(attn.to_k, context, attn.heads, attn.norm_k)
        v = split(attn.to_v, context, attn.heads)
        mask = None
        if attention_mask is not None:
            rows = attn.prepare_attention_mask(attention_mask, context.shape[1], shape[0])
            mask = rows.view(shape[0], attn.heads, -1, rows.shape[-1])
        states = joined(change.attend(self.backend)(q, k, v, mask=mask, scale=attn.scale), q.dtype)
        if (more := shown_states(self.backend, q, Shown.of(shown, attn), scale=attn.scale)) is not None:
            states = states + more
        out: Tensor = attn.to_out[0](states)
        if attn.training:
            out = attn.to_out[1](out)  # dropout
        if len(shape) == 4:
            out = out.transpose(1, 2).reshape(shape)
        if attn.residual_connection:
            out = out + residual
        return out if attn.rescale_output_factor == 1.0 else out / attn.rescale_output_factor
