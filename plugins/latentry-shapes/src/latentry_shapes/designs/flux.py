"""FLUX.1 dev in miniature, which takes the guidance scale as an input."""

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
    """Double and single blocks over packed latents. They attend to T5's states and get CLIP's pooled state.

    Args:
        starts_from: the design that it is distilled from (see ``Distillation``). None for that design itself, which is
            only ever given guidance scale 1.
    """

    channels = 16
    encoders = ("clip-l", "t5")
    kind: Kind = "flow"
    muon = True
    partly_named = True
    pipeline = "FluxPipeline"

    def __init__(self, *, starts_from: str | None = None) -> None:
        self.starts_from, self.steps = starts_from, 2000 if starts_from else 12000

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

    def predict(
        self, denoiser: Any, x: Tensor, times: Tensor, states: Sequence[States], scales: Tensor | None = None
    ) -> Tensor:
        """As in ``Design``; ``scales`` are guidance scales, (batch,), by default 1."""
        (clip, t5), (height, width) = states, x.shape[-2:]
        predicted: Tensor = denoiser(
            pack(x),
            timestep=times / 1000,
            guidance=torch.ones(len(x)) if scales is None else scales,
            encoder_hidden_states=t5.tokens,
            pooled_projections=clip.pooled,
            txt_ids=torch.zeros((t5.tokens.shape[1], 3)),
            img_ids=positions(height, width, x.device),
        ).sample
        return unpack(predicted, height, width)

    def scheduler(self) -> FlowMatchEulerDiscreteScheduler:
        """Rectified flow, with the times shifted by the size of the picture as in FLUX.1 dev."""
        return FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)

    def folders(self) -> Mapping[str, str]:
        return {"denoiser": "transformer", "clip-l": "text_encoder", "t5": "text_encoder_2"}

    def exported(self, encoder: str, network: Any) -> Any:
        """Without CLIP's projection, which FLUX does not have."""
        return without_projection(network) if encoder == "clip-l" else network
