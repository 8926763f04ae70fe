"""Perturbed-attention guidance (PAG)."""

from __future__ import annotations

from pydantic import Field

from latentry import NoMemory
from latentry.guidance import AttentionChange, Branch, GuidanceMethod, Guide, GuidedQuery
from latentry_guidance._weakened import away_from


class PerturbedAttention(GuidanceMethod):
    """cond + s·(cond − perturbed) (Ahn et al. 2024, arXiv:2403.17377, eq. 16), on top of classifier-free guidance.

    In the perturbed output each token of the picture attends to itself alone in some blocks; so does each token of the
    text in transformers of both in one.
    """

    strength: float = Field(default=3.0, gt=0.0, le=100.0, description="s, the scale of this guidance")
    blocks: tuple[int, ...] = Field(
        default=(), description="attention blocks that are perturbed, counted from 0; the middle if none is given"
    )

    def guide(self, query: GuidedQuery, memory: NoMemory) -> Guide:
        """Combines the outputs, whatever their prediction type."""
        perturbed = Branch(attention=AttentionChange(self.blocks))
        return (yield from away_from(perturbed, query, self.strength)), memory
