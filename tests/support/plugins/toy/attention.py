"""Attention backends, of which only one computes."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


class Able:
    """Counts what it serves."""

    served = 0

    def probe(self) -> str | None:
        """Can."""
        return None

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, *, mask: Any = None, scale: Any = None, causal: Any = False
    ) -> Any:
        """torch's."""
        type(self).served += 1
        return scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale, is_causal=causal)


class Unable(Able):
    """Says why it cannot."""

    def probe(self) -> str | None:
        """Cannot."""
        return "the moon is not full"


class Broken(Able):
    """Fails at the question."""

    def probe(self) -> str | None:
        """Fails."""
        raise RuntimeError("driver not found")


class Distant(Able):
    """For hardware that is not here."""
