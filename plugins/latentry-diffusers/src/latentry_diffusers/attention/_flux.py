"""FLUX's attention: joint over text and picture, with rotary position embeddings (Su et al. 2021, arXiv:2104.09864)."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.embeddings import apply_rotary_emb
from torch import Tensor

from latentry_diffusers.attention._change import Changes
from latentry_diffusers.attention._heads import joined, own_heads, text_heads
from latentry_diffusers.attention._processor import Processor
from latentry_diffusers.attention._shown import Shown, shown_states

Rotary = tuple[Tensor, Tensor]
"""Cosines and sines, each (tokens, head size); every value is repeated twice in a row."""


class FluxProcessor(Processor):
    """What diffusers' ``FluxAttention`` calls in place of its ``FluxAttnProcessor``, in double and in single blocks."""

    role = "joint"

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: Rotary | None = None,
        changes: Changes | None = None,
        shown: Shown | None = None,
    ) -> Tensor | tuple[Tensor, ...]:
        """Runs one attention layer.

        Args:
            attn: the layer.
            hidden_states: states of the picture, (batch, tokens, width); in single blocks, of text and picture
                together.
            encoder_hidden_states: states of the text, in double blocks.
            attention_mask: mask of the attention scores.
            image_rotary_emb: positions of text and picture.
            changes: changes of attention, for some layers.
            shown: pictures that the layer attends to beside the text.

        Returns:
            The new states; in double blocks, those of the picture and of the text, and what the block adds at its end
            of the pictures that are shown.
        """
        change = Changes.of(changes, attn)
        asking, k, v = own_heads(attn, hidden_states, change.query)
        q = asking
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
        both = picture, attn.to_add_out(states[:, :text])
        added = shown_states(self.backend, asking, Shown.of(shown, attn))
        return both if added is None else (*both, added)
