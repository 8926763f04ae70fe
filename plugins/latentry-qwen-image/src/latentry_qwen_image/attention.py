"""Qwen-Image's attention: joint over text and picture, each turned by positions of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from latentry_diffusers.attention import Processor, joined, own_heads, text_heads, turned

Heads = tuple[Tensor, Tensor, Tensor]
"""Queries, keys and values, (batch, heads, tokens, head size) each."""


class DoubleStreamProcessor(Processor):
    """What diffusers' layers call in place of ``QwenDoubleStreamAttnProcessor2_0``."""

    role = "joint"

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        encoder_hidden_states_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Runs one attention layer.

        Args:
            attn: the layer.
            hidden_states: of the picture, (batch, tokens, width).
            encoder_hidden_states: of the text, (batch, tokens, width).
            encoder_hidden_states_mask: (batch, tokens) of the text, False for padding.
            image_rotary_emb: e^(iφ) of the picture's and of the text's positions, complex, (tokens, head size / 2).

        Returns:
            The new states of picture and text.
        """
        own = own_heads(attn, hidden_states, lambda project: project)
        text = text_heads(attn, encoder_hidden_states)
        if image_rotary_emb is not None:
            own, text = (_placed(*each) for each in zip((own, text), image_rotary_emb, strict=True))
        q, k, v = (torch.cat(pair, dim=2) for pair in zip(text, own, strict=True))
        states = joined(self.backend.attend(q, k, v, mask=_mask(encoder_hidden_states_mask, hidden_states)), q.dtype)
        count = encoder_hidden_states.shape[1]
        return attn.to_out[0](states[:, count:]), attn.to_add_out(states[:, :count])


def _placed(heads: Heads, turns: Tensor) -> Heads:
    """Queries and keys at their positions."""
    q, k, v = heads
    return turned(q, turns), turned(k, turns), v


def _mask(text: Tensor | None, picture: Tensor) -> Tensor | None:
    """Which keys take part, (batch, 1, 1, tokens): those of the text that are real, and all of the picture."""
    if text is None:
        return None
    whole = torch.ones(picture.shape[:2], dtype=torch.bool, device=picture.device)
    return torch.cat([text, whole], dim=1)[:, None, None]
