"""torch's own attention, for calls that no backend of a list supports."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from latentry._attention._arithmetic import score_bias


class NativeAttention:
    """``scaled_dot_product_attention``, which the networks of diffusers and transformers call themselves."""

    def probe(self) -> str | None:
        """Always available."""
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
        """See ``AttentionBackend``; torch takes a mask or causality but not both, so that both become one mask."""
        if mask is not None and causal:
            mask, causal = score_bias(q, k, mask=mask, causal=True), False
        return scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, scale=scale)
