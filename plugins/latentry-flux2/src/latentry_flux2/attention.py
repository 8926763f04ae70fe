"""Attention of FLUX.2's single blocks, which share their first and last layer with the feed-forward layers."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.models.embeddings import apply_rotary_emb
from torch import Tensor

from latentry_diffusers.attention import FluxProcessor, Processor, Processors, joined

Rotary = tuple[Tensor, Tensor]
"""Cosines and sines, each (tokens, head size); every value is repeated twice in a row."""


class ParallelProcessor(Processor):
    """What diffusers' ``Flux2ParallelSelfAttention`` calls in place of its own processor."""

    role = "joint"

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        image_rotary_emb: Rotary | None = None,
        changes: object = None,
    ) -> Tensor:
        """Runs attention and the feed-forward layers side by side.

        Args:
            attn: the layer.
            hidden_states: of text and picture together, (batch, tokens, width).
            attention_mask: mask of the attention scores.
            image_rotary_emb: positions of text and picture.
            changes: of the picture's attention to itself, which is in other blocks: has no effect here.
        """
        both: Tensor = attn.to_qkv_mlp_proj(hidden_states)
        own = 3 * attn.inner_dim
        q, k, v = both[..., :own].unflatten(-1, (3, attn.heads, -1)).permute(2, 0, 3, 1, 4)  # type: ignore[no-untyped-call]
        q, k = attn.norm_q(q), attn.norm_k(k)
        if image_rotary_emb is not None:
            q, k = (apply_rotary_emb(each, image_rotary_emb) for each in (q, k))
        states = joined(self.backend.attend(q, k, v, mask=attention_mask), q.dtype)
        out: Tensor = attn.to_out(torch.cat([states, attn.mlp_act_fn(both[..., own:])], dim=-1))
        return out


PROCESSORS: Processors = {
    "Flux2AttnProcessor": FluxProcessor,
    "Flux2ParallelSelfAttnProcessor": ParallelProcessor,
}
"""The replacement for each of diffusers' processors; double blocks attend as FLUX.1's do."""
