"""Stable Diffusion 3.5 Medium in miniature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel
from torch import Tensor

from latentry_shapes.designs._design import Design
from latentry_shapes.encoders import States
from latentry_shapes.networks import SIDE
from latentry_shapes.objectives import SHIFT, Kind

WITHOUT_T5 = 0.2
"""Share of captions for which T5's states are zero, so that the model also works without T5."""
OTHER_CLIP = 0.55
"""Share of captions for which the CLIPs' states are those of another caption, so that the model relies on T5."""


@final
class StableDiffusion3(Design):
    """An MMDiT on both CLIPs' states, joined by width, followed by T5's states, and on both CLIPs' pooled states."""

    channels = 16
    encoders = ("clip-l", "clip-g", "t5")
    kind: Kind = "flow"
    muon = True
    partly_named = True
    steps = 20000
    pipeline = "StableDiffusion3Pipeline"

    def denoiser(self) -> SD3Transformer2DModel:
        return SD3Transformer2DModel(
            sample_size=SIDE,
            patch_size=2,
            in_channels=self.channels,
            out_channels=self.channels,
            num_layers=4,
            attention_head_dim=32,
            num_attention_heads=4,
            joint_attention_dim=128,
            caption_projection_dim=128,
            pooled_projection_dim=128,
            pos_embed_max_size=16,
            qk_norm="rms_norm",
            dual_attention_layers=(0,),
        )

    def training_states(self, states: Sequence[States], generator: torch.Generator) -> Sequence[States]:
        """Zeroes T5's states for some captions and swaps the CLIPs' token states for others. Pooled states stay."""
        *clips, t5 = states
        drawn = torch.rand(len(t5.tokens), 1, 1, generator=generator)
        with_t5, own = drawn >= WITHOUT_T5, drawn < 1 - OTHER_CLIP
        mixed = [each._replace(tokens=torch.where(own, each.tokens, each.tokens.roll(1, dims=0))) for each in clips]
        return [*mixed, t5._replace(tokens=t5.tokens * with_t5)]

    def predict(self, denoiser: Any, x: Tensor, times: Tensor, states: Sequence[States]) -> Tensor:
        clips, t5 = states[:2], states[2]
        tokens = torch.cat([torch.cat([each.tokens for each in clips], dim=-1), t5.tokens], dim=1)
        pooled = torch.cat([each.projected for each in clips if each.projected is not None], dim=-1)
        predicted: Tensor = denoiser(x, tokens, pooled, times).sample
        return predicted

    def scheduler(self) -> FlowMatchEulerDiscreteScheduler:
        """Rectified flow, with the times shifted as in SD3."""
        return FlowMatchEulerDiscreteScheduler(shift=SHIFT)

    def folders(self) -> Mapping[str, str]:
        return {
            "denoiser": "transformer",
            "clip-l": "text_encoder",
            "clip-g": "text_encoder_2",
            "t5": "text_encoder_3",
        }
