"""Z-Image in miniature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, ZImageTransformer2DModel
from torch import Tensor

from latentry_shapes.designs._design import Design
from latentry_shapes.encoders import States
from latentry_shapes.objectives import Kind


@final
class ZImage(Design):
    """One stream of picture and text after blocks for each alone; its clock runs backwards, and it predicts x₀ − ε."""

    channels = 16
    encoders = ("qwen",)
    kind: Kind = "flow"
    muon = True
    partly_named = True
    steps = 20000
    pipeline = "ZImagePipeline"

    def denoiser(self) -> ZImageTransformer2DModel:
        return ZImageTransformer2DModel(
            in_channels=self.channels,
            dim=96,
            n_layers=3,
            n_refiner_layers=1,
            n_heads=3,
            n_kv_heads=3,
            cap_feat_dim=96,
            axes_dims=(8, 12, 12),
            axes_lens=(1024, 64, 64),
        )

    def predict(self, denoiser: Any, x: Tensor, times: Tensor, states: Sequence[States]) -> Tensor:
        """As in ``Design``."""
        (read,) = states
        real = torch.ones(read.tokens.shape[:2], dtype=torch.bool) if read.real is None else read.real
        texts = [tokens[own] for tokens, own in zip(read.tokens, real, strict=True)]
        predicted = denoiser(list(x[:, :, None].unbind()), (1000 - times) / 1000, texts).sample
        return -torch.stack(predicted)[:, :, 0]

    def scheduler(self) -> FlowMatchEulerDiscreteScheduler:
        """Rectified flow with the time shift of the foundation model."""
        return FlowMatchEulerDiscreteScheduler(shift=6.0)

    def folders(self) -> Mapping[str, str]:
        return {"denoiser": "transformer", "qwen": "text_encoder"}
