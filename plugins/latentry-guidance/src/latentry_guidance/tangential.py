"""Tangential damping classifier-free guidance (TCFG)."""

from __future__ import annotations

import torch
from torch import Tensor

from latentry import NoMemory
from latentry.guidance import COND, UNCOND, GuidanceMethod, Guide, GuidedQuery
from latentry_guidance._vectors import dot


class Tangential(GuidanceMethod):
    """ε = ε_u' + w·(ε_c − ε_u'), with ε_u' the part of ε_u along the first singular vector of ε_c and ε_u together
    (Kwon et al. 2025, arXiv:2503.18137, algorithm 1).

    On flow models the velocity takes the place of ε. At α = 0, where ε is x in both, it is classifier-free guidance.
    """

    def guide(self, query: GuidedQuery, memory: NoMemory) -> Guide:
        """Combines the outputs in ε or, on a flow, in the velocity."""
        uncond, cond = yield UNCOND, COND
        if query.plan.process.kind == "flow":
            return query.from_v(torch.lerp(damped(uncond.v, cond.v), cond.v, query.scale)), memory
        if query.point.alpha == 0.0:
            return torch.lerp(uncond.output, cond.output, query.scale), memory
        return query.from_eps(torch.lerp(damped(uncond.eps, cond.eps), cond.eps, query.scale)), memory


def damped(uncond: Tensor, cond: Tensor) -> Tensor:
    """The part of uncond along the first right singular vector of the two rows (cond, uncond), picture by picture.

    The singular vector is cos θ·cond + sin θ·uncond over its length, where (cos θ, sin θ) is the first eigenvector of
    the rows' 2 × 2 matrix of inner products: no decomposition that waits for the device is needed.
    """
    angle = 0.5 * torch.atan2(2.0 * dot(cond, uncond), dot(cond, cond) - dot(uncond, uncond))
    sine = torch.sin(angle)
    return sine * (torch.cos(angle) * cond + sine * uncond)
