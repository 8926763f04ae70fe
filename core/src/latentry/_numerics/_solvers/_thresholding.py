"""Dynamic thresholding of x₀."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from latentry._numerics._denoised import Denoised


@dataclass(frozen=True)
class DynamicThreshold:
    """x₀ clipped to ±s and divided by s, s being a quantile of |x₀| per sample, at least 1 (Saharia et al. 2022,
    Imagen, arXiv:2205.11487, section 2.3).

    A hook for a plan, or a scheduler's own option. For models of pixels in −1..1; latents have no such bounds.

    Attributes:
        quantile: between 0 and 1; Imagen's is 0.995.
        maximum: upper limit of s; 1 clips to −1..1, which is diffusers' default.
    """

    quantile: float = 0.995
    maximum: float = math.inf

    def __call__(self, evaluation: Denoised) -> Denoised:
        """The evaluation with its x₀ brought within bounds."""
        flat = evaluation.x0.flatten(1)
        s = torch.quantile(flat.abs(), self.quantile, dim=1, keepdim=True).clamp(1.0, max(1.0, self.maximum))
        return evaluation.with_x0((flat.clamp(-s, s) / s).view_as(evaluation.x0))
