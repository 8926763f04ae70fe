"""Stable Diffusion 1.5, its v-prediction form, and its inpainting form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, channels_last

from latentry_shapes import networks
from latentry_shapes.designs._design import Design
from latentry_shapes.encoders import States
from latentry_shapes.objectives import Kind


@final
class StableDiffusion(Design):
    """A UNet that attends to CLIP's last hidden states.

    Args:
        kind: what the UNet predicts.
        masked: whether it is an inpainting model.
        starts_from: see ``Design``.
    """

    channels = 4
    encoders = ("clip",)

    def __init__(self, kind: Kind = "epsilon", *, masked: bool = False, starts_from: str | None = None) -> None:
        self.kind, self.masked, self.starts_from = kind, masked, starts_from
        if starts_from:
            self.steps = 2000
        if masked:
            self.steps = 4000
            self.noisy = 0.2  # the less noisy timesteps decide how exactly the kept part is kept
            self.no_background = 0.5  # otherwise it takes the background from the caption and not from the picture

    @property
    def pipeline(self) -> str:
        return "StableDiffusionInpaintPipeline" if self.masked else "StableDiffusionPipeline"

    def denoiser(self) -> UNet2DConditionModel:
        network = UNet2DConditionModel(
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
        network.set_attn_processor(AttnProcessor())  # on a CPU its backward pass is much faster than that of PyTorch's
        return network

    def predict(self, denoiser: Any, x: Tensor, times: Tensor, states: Sequence[States]) -> Tensor:
        predicted: Tensor = denoiser(x.to(memory_format=channels_last), times, states[0].tokens).sample
        return predicted

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
