"""Attention of multimodal transformers, joint or over the picture alone (Esser et al. 2024, arXiv:2403.03206)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from latentry_diffusers.attention._change import Changes
from latentry_diffusers.attention._heads import joined, own_heads, split, text_heads
from latentry_diffusers.attention._processor import Processor
from latentry_diffusers.attention._shown import Shown, beside


class JointProcessor(Processor):
    """What diffusers' ``Attention`` calls in place of its ``JointAttnProcessor2_0``, as in Stable Diffusion 3."""

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        changes: Changes | None = None,
        shown: Shown | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Runs one attention layer.

        Args:
            attn: the layer.
            hidden_states: states of the picture, (batch, tokens, width).
            encoder_hidden_states: states of the text, (batch, tokens, width); None where the picture attends only to
                itself.
            attention_mask: mask of the attention scores.
            changes: changes of attention, for some layers.
            shown: pictures that the layer attends to beside itself.

        Returns:
            The new states of the picture; with text, those of picture and text.
        """
        picture = hidden_states.shape[1]
        change = Changes.of(changes, attn)
        q, k, v = own_heads(attn, hidden_states, change.query)
        if encoder_hidden_states is not None:
            last = text_heads(attn, encoder_hidden_states)
            q, k, v = (torch.cat(pair, dim=2) for pair in zip((q, k, v), last, strict=True))
        states = joined(change.attend(self.backend)(q, k, v, mask=attention_mask), q.dtype)
        found = states[:, :picture]
        for each in Shown.beside(shown, attn):
            raw = [split(project, hidden_states, attn.heads) for project in (attn.to_q, attn.to_k, attn.to_v)]
            found = found + beside(self.backend, raw, each)
        out: Tensor = attn.to_out[0](found)
        if attn.training:
            out = attn.to_out[1](out)  # dropout
        if encoder_hidden_states is None:
            return out
        text = states[:, picture:]
        return out, text if attn.context_pre_only else attn.to_add_out(text)
