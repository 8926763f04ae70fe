"""Classifier-free guidance whose result has the norm of the output with the prompt."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import avg_pool2d

from latentry import NoMemory
from latentry.guidance import COND, UNCOND, GuidanceMethod, Guide, GuidedQuery


class NormRestored(GuidanceMethod):
    """g · ‖cond‖/‖g‖ with g = uncond + scale · (cond − uncond), the norms over squares of latents and all channels.

    Qwen-Image's pipeline in diffusers does this for each token, which is 2 × 2 latents.
    """

    side: int = Field(default=2, ge=1, description="side in latents of the squares over which norms are taken")

    def guide(self, query: GuidedQuery, memory: NoMemory) -> Guide:
        """The squares at the lower and right edges may be smaller."""
        uncond, cond = yield UNCOND, COND
        guided = torch.lerp(uncond.output, cond.output, query.scale)
        ratio = self._squared(cond.output) / self._squared(guided)
        height, width = guided.shape[-2:]
        spread = ratio.sqrt().repeat_interleave(self.side, -2).repeat_interleave(self.side, -1)
        return guided * spread[..., :height, :width], memory

    def _squared(self, output: Tensor) -> Tensor:
        """The mean square in each square, (batch, 1, rows, columns)."""
        sums = output.square().sum(dim=1, keepdim=True)
        return avg_pool2d(sums, self.side, ceil_mode=True, count_include_pad=False)
