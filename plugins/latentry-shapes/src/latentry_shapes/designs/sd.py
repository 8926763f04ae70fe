"""Stable Diffusion 1.5, 2.1's v-prediction, and inpainting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor, channels_last

from latentry_shapes import networks
from latentry_shapes.designs._design import Design
from latentry_shapes.encoders import States
from latentry_shapes.objectives import Kind


@final
class StableDiffusion(Design):
    """A UNet told CLIP's last states by cross-attention."""

    channels = 4
    encoders = ("clip",)

    def __init__(self, kind: Kind = "epsilon", *, masked: bool = False, begins_with: str | None = None) -> None:
        self.kind, self.masked, self.begins_with = kind, masked, begins_with

    @property
    def pipeline(self) -> str:
        return "StableDiffusionInpaintPipeline" if self.masked else "StableDiffusionPipeline"

    def denoiser(self) -> UNet2DConditionModel:
        return UNet2DConditionModel(
            sample_size=networks.SIDE,
            in_channels=2 * self.channels + 1 if self.masked else self.channels,
            out_channels=self.channels,
            block_out_channels=(48, 96, 128),
            layers_per_block=1,
            cross_attention_dim=96,
            attention_head_dim=4,
            norm_num_groups=8,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        ).to(memory_format=channels_last)

    def say(self, denoiser: Any, x: Tensor, times: Tensor, told: Sequence[States]) -> Tensor:
        said: Tensor = denoiser(x.to(memory_format=channels_last), times, told[0].tokens).sample
        return said

    def scheduler(self) -> DDIMScheduler:
        return networks.scheduler(self.kind)

    def folders(self) -> Mapping[str, str]:
        return {"denoiser": "unet", "clip": "text_encoder"}

    def settings(self) -> Mapping[str, Any]:
        return {
            "requires_safety_checker": False,
            "safety_checker": [None, None],
            "feature_extractor": [None, None],
        }
