"""ControlNets for Stable Diffusion 3 and 3.5."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from latentry.conditioners import ControlQuery, Inject
from latentry.models import timestep_rows
from latentry_controlnet.networks import NAME
from latentry_controlnet.options import ControlNetOptions, mode_number
from latentry_diffusers.conditioning.conditioner import NetworkConditioner
from latentry_diffusers.conditioning.preprocessing import preprocessed


class SD3ControlNet(NetworkConditioner):
    """diffusers' ``SD3ControlNetModel``.

    Args:
        network: it.
        base: configuration of the transformer that it steers.
    """

    def __init__(self, network: Any, base: Mapping[str, Any]) -> None:
        super().__init__(NAME, network)
        self._blocks = int(base["num_layers"])

    def prepare(self, model: Any, picture: Tensor, options: Any, number: int) -> Inject:
        """Encodes the picture; InstantX' networks were trained without the autoencoder's shift."""
        mode_number((options or ControlNetOptions()).mode, {}, None)
        config, vae = self.network.config, model.vae.config
        latents = model.encode(preprocessed(picture, options))
        if config.force_zeros_for_pooled_projection:
            latents = latents + (vae.shift_factor or 0.0) * vae.scaling_factor
        embed = None if self.network.pos_embed is not None else model.transformer.pos_embed
        return _Steering(self.network, latents.to(self.dtype), self._blocks, embed)


@dataclass(frozen=True)
class _Steering:
    """A ControlNet with its picture.

    Attributes:
        network: diffusers' network.
        latents: of the picture, (1, channels, height, width).
        blocks: of the transformer that is steered.
        embed: makes tokens of latents, where the network leaves that to the transformer's own.
    """

    network: Any
    latents: Tensor
    blocks: int
    embed: Any

    def __call__(self, asked: ControlQuery) -> Mapping[str, Tensor]:
        config, given, x = self.network.config, asked.conditioning.tensors, asked.x.to(self.latents.dtype)
        pooled = given["pooled"]
        samples = self.network(
            hidden_states=x if self.embed is None else self.embed(x),
            timestep=timestep_rows(asked.timestep, asked.x),
            encoder_hidden_states=None if config.joint_attention_dim is None else given["text"],
            pooled_projections=torch.zeros_like(pooled) if config.force_zeros_for_pooled_projection else pooled,
            controlnet_cond=self.latents.expand(x.shape[0], -1, -1, -1),
            conditioning_scale=asked.weight,
            return_dict=False,
        )[0]
        return {f"block.{n}": samples[math.floor(n * len(samples) / self.blocks)] for n in range(self.blocks)}
