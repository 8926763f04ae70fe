"""FLUX.1 dev, told its guidance scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel
from torch import Tensor

from latentry_flux.packing import pack, positions, unpack
from latentry_shapes.designs._design import Design
from latentry_shapes.encoders import States, without_projection
from latentry_shapes.objectives import Kind


@final
class Flux(Design):
    """Double and single blocks over packed latents, told T5's states and CLIP's summary.

    One that begins with another learns from it what guidance does; the other is only ever told scale 1.
    """

    channels = 16
    encoders = ("clip-l", "t5")
    kind: Kind = "flow"
    muon = True
    halves = True
    steps = 12000
    pipeline = "FluxPipeline"

    def __init__(self, *, begins_with: str | None = None) -> None:
        self.begins_with = begins_with

    def denoiser(self) -> FluxTransformer2DModel:
        return FluxTransformer2DModel(
            in_channels=4 * self.channels,
            num_layers=2,
            num_single_layers=3,
            attention_head_dim=32,
            num_attention_heads=4,
            joint_attention_dim=128,
            pooled_projection_dim=64,
            guidance_embeds=True,
            axes_dims_rope=(8, 12, 12),
        )

    def say(
        self, denoiser: Any, x: Tensor, times: Tensor, told: Sequence[States], scales: Tensor | None = None
    ) -> Tensor:
        """See ``Design``; ``scales`` are those of the guidance, (batch,), 1 where they are left out."""
        (clip, t5), (height, width) = told, x.shape[-2:]
        said: Tensor = denoiser(
            pack(x),
            timestep=times / 1000,
            guidance=torch.ones(len(x)) if scales is None else scales,
            encoder_hidden_states=t5.tokens,
            pooled_projections=clip.pooled,
            txt_ids=torch.zeros((t5.tokens.shape[1], 3)),
            img_ids=positions(height, width, x.device),
        ).sample
        return unpack(said, height, width)

    def scheduler(self) -> FlowMatchEulerDiscreteScheduler:
        """Straight paths, times shifted by the size of the picture as in FLUX.1 dev."""
        return FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)

    def folders(self) -> Mapping[str, str]:
        return {"denoiser": "transformer", "clip-l": "text_encoder", "t5": "text_encoder_2"}

    def exported(self, encoder: str, network: Any) -> Any:
        """CLIP has no projection in FLUX."""
        return without_projection(network) if encoder == "clip-l" else network
