"""Attention of FLUX: text and picture in one, with rotary positions (Su et al. 2021, arXiv:2104.09864)."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.embeddings import apply_rotary_emb
from torch import Tensor

from latentry.attention import AttentionBackend
from latentry_diffusers.attention._change import Changes
from latentry_diffusers.attention._heads import joined, own_heads, text_heads

Rotary = tuple[Tensor, Tensor]
"""Cosines and sines, (tokens, head size) each, every value twice in a row."""


class FluxProcessor:
    """What diffusers' ``FluxAttention`` calls in place of its ``FluxAttnProcessor``, in double and in single blocks.

    Attributes:
        backend: computes softmax(q·kᵀ·scale + mask)·v.
        takes: the names of what it can be given.
    """

    takes = frozenset({"hidden_states", "encoder_hidden_states", "attention_mask", "image_rotary_emb", "changes"})

    def __init__(self, backend: AttentionBackend) -> None:
        self.backend = backend

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: Rotary | None = None,
        changes: Changes | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """One attention layer.

        Args:
            attn: the layer.
            hidden_states: of the picture, (batch, tokens, width); in single blocks of text and picture in one.
            encoder_hidden_states: of the text in double blocks.
            attention_mask: of the scores.
            image_rotary_emb: positions of text and picture.
            changes: of some layers.

        Returns:
            What becomes of the states; in double blocks the picture's and the text's.
        """
        change = Changes.of(changes, attn)
        q, k, v = own_heads(attn, hidden_states, change.query)
        if encoder_hidden_states is not None:
            first = text_heads(attn, encoder_hidden_states)
            q, k, v = (torch.cat(pair, dim=2) for pair in zip(first, (q, k, v), strict=True))
        if image_rotary_emb is not None:
            q, k = (apply_rotary_emb(tensor, image_rotary_emb) for tensor in (q, k))
        states = joined(change.attend(self.backend)(q, k, v, mask=attention_mask), q.dtype)
        if encoder_hidden_states is None:
            return states
        text = encoder_hidden_states.shape[1]
        picture: Tensor = attn.to_out[0](states[:, text:])
        if attn.training:
            picture = attn.to_out[1](picture)  # dropout
        return picture, attn.to_add_out(states[:, :text])
