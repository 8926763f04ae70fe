"""torch's fused attention."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


class SDPA:
    """softmax(q·kᵀ·scale + mask)·v in whichever kernel torch finds best for device, dtype and shapes."""

    def probe(self) -> str | None:
        """Always available: torch brings it."""
        return None

    def attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        mask: Tensor | None = None,
        scale: float | None = None,
        causal: bool = False,
    ) -> Tensor:
        """See ``latentry.AttentionBackend``.

        Args:
            q: (batch, heads, tokens, head size).
            k: (batch, heads, keys, head size).
            v: (batch, heads, keys, head size).
            mask: broadcastable to (batch, heads, tokens, keys); boolean (True takes part) or added to the scores.
            scale: of the scores; 1/√(head size) where None.
            causal: token i attends to keys 0..i; not together with a mask.
        """
        return scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, scale=scale)
