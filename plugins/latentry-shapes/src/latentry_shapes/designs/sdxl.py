"""Stable Diffusion XL base in miniature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from diffusers import EulerDiscreteScheduler, UNet2DConditionModel
from torch import Tensor, channels_last

from latentry_shapes.designs._design import Design
from latentry_shapes.encoders import States, without_projection
from latentry_shapes.networks import SIDE
from latentry_shapes.scenes import SIZE

TIME_WIDTH = 8


@final
class StableDiffusionXL(Design):
    """A UNet on both CLIPs' states, joined by width, and on the second CLIP's pooled state, the size and the crop."""

    channels = 4
    encoders = ("clip-l", "clip-g")
    muon = True
    partly_named = True
    steps = 12000
    pipeline = "StableDiffusionXLPipeline"

    def denoiser(self) -> UNet2DConditionModel:
        return UNet2DConditionModel(
            sample_size=SIDE,
            block_out_channels=(32, 56, 72),
            layers_per_block=1,
            cross_attention_dim=128,
            attention_head_dim=(2, 4, 4),
            transformer_layers_per_block=(1, 1, 2),
            norm_num_groups=8,
            use_linear_projection=True,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            addition_embed_type="text_time",
            addition_time_embed_dim=TIME_WIDTH,
            projection_class_embeddings_input_dim=6 * TIME_WIDTH + 64,
        ).to(memory_format=channels_last)

    def predict(self, denoiser: Any, x: Tensor, times: Tensor, states: Sequence[States]) -> Tensor:
        numbers = torch.tensor([[SIZE, SIZE, 0, 0, SIZE, SIZE]], dtype=torch.float32).expand(len(x), -1)
        tokens = torch.cat([each.tokens for each in states], dim=-1)
        more = {"text_embeds": states[-1].projected, "time_ids": numbers}
        predicted: Tensor = denoiser(x.to(memory_format=channels_last), times, tokens, added_cond_kwargs=more).sample
        return predicted

    def scheduler(self) -> EulerDiscreteScheduler:
        """The noise process of SDXL, which is that of Stable Diffusion."""
        return EulerDiscreteScheduler(
            beta_schedule="scaled_linear",
            beta_start=0.00085,
            beta_end=0.012,
            steps_offset=1,
            timestep_spacing="leading",
        )

    def folders(self) -> Mapping[str, str]:
        return {"denoiser": "unet", "clip-l": "text_encoder", "clip-g": "text_encoder_2"}

    def settings(self) -> Mapping[str, Any]:
        nothing = [None, None]
        return {"force_zeros_for_empty_prompt": False, "feature_extractor": nothing, "image_encoder": nothing}

    def exported(self, encoder: str, network: Any) -> Any:
        """Without the first CLIP's projection, which SDXL does not have."""
        return without_projection(network) if encoder == "clip-l" else network
