"""ControlNets and adapters in miniature for the models that have one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, final

import torch
from diffusers import ControlNetModel, FluxControlNetModel, T2IAdapter
from torch import Tensor, nn

from latentry_flux.packing import pack, positions, unpack
from latentry_shapes.designs import adopt
from latentry_shapes.encoders import States

FACTOR = 4
"""Pixels along each side of a latent."""


class ControlDesign(ABC):
    """A published architecture in miniature of a network that steers a denoiser."""

    @abstractmethod
    def network(self, denoiser: Any) -> nn.Module:
        """The network before training, with the weights of the denoiser that it has in common with it."""

    @abstractmethod
    def hints(self, vae: Any, outlines: Tensor) -> Tensor:
        """What it is given of outlines (batch, 3, 64, 64) in 0..1."""

    @abstractmethod
    def predict(
        self, denoiser: Any, control: Any, x: Tensor, times: Tensor, states: Sequence[States], hints: Tensor
    ) -> Tensor:
        """The denoiser's output under control; for the arguments see ``Design.predict``."""


@final
class StableDiffusionControl(ControlDesign):
    """Zhang et al. 2023, arXiv:2302.05543, without attention: an outline is seen without the prompt."""

    def network(self, denoiser: Any) -> ControlNetModel:
        config = denoiser.config
        network = ControlNetModel(
            in_channels=config.in_channels,
            down_block_types=("DownBlock2D",) * 3,
            mid_block_type="UNetMidBlock2D",
            block_out_channels=config.block_out_channels,
            layers_per_block=config.layers_per_block,
            cross_attention_dim=config.cross_attention_dim,
            attention_head_dim=config.attention_head_dim,
            norm_num_groups=config.norm_num_groups,
            conditioning_embedding_out_channels=(16, 32, 48),
        )
        adopt(network, denoiser.state_dict())
        return network.to(memory_format=torch.channels_last)

    def hints(self, vae: Any, outlines: Tensor) -> Tensor:
        return outlines.to(memory_format=torch.channels_last)

    def predict(
        self, denoiser: Any, control: Any, x: Tensor, times: Tensor, states: Sequence[States], hints: Tensor
    ) -> Tensor:
        x, text = x.to(memory_format=torch.channels_last), states[0].tokens
        down, middle = control(x, times, text, hints, return_dict=False)
        predicted: Tensor = denoiser(
            x, times, text, down_block_additional_residuals=down, mid_block_additional_residual=middle
        ).sample
        return predicted


@final
class StableDiffusionAdapter(ControlDesign):
    """Mou et al. 2023, arXiv:2302.08453. It sees the outline alone, and is evaluated once for all steps.

    Like that of SDXL, which also has its first attention after the first downsampling; its features are half as
    fine as latents.
    """

    def network(self, denoiser: Any) -> T2IAdapter:
        widths = list(denoiser.config.block_out_channels)
        network = T2IAdapter(
            in_channels=1,
            channels=[*widths, widths[-1]],
            num_res_blocks=1,
            downscale_factor=2 * FACTOR,
            adapter_type="full_adapter_xl",
        )
        return network.to(memory_format=torch.channels_last)

    def hints(self, vae: Any, outlines: Tensor) -> Tensor:
        return outlines[:, :1].to(memory_format=torch.channels_last)

    def predict(
        self, denoiser: Any, control: Any, x: Tensor, times: Tensor, states: Sequence[States], hints: Tensor
    ) -> Tensor:
        x, features = x.to(memory_format=torch.channels_last), control(hints)
        predicted: Tensor = denoiser(x, times, states[0].tokens, down_intrablock_additional_residuals=features).sample
        return predicted


@final
class FluxControl(ControlDesign):
    """The ControlNet of InstantX for FLUX.1: blocks of the transformer, over the latents of the outline."""

    def network(self, denoiser: Any) -> FluxControlNetModel:
        config = {**denoiser.config, "num_layers": 1, "num_single_layers": 1, "guidance_embeds": False}
        network = FluxControlNetModel.from_config(config)
        adopt(network, {name: value for name, value in denoiser.state_dict().items() if "guidance" not in name})
        return network

    @torch.no_grad()
    def hints(self, vae: Any, outlines: Tensor) -> Tensor:
        latents = vae.encode(2 * outlines - 1).latent_dist.mean
        return pack((latents - (vae.config.shift_factor or 0.0)) * vae.config.scaling_factor)

    def predict(
        self, denoiser: Any, control: Any, x: Tensor, times: Tensor, states: Sequence[States], hints: Tensor
    ) -> Tensor:
        (clip, t5), (height, width) = states, x.shape[-2:]
        given = {
            "timestep": times / 1000,
            "encoder_hidden_states": t5.tokens,
            "pooled_projections": clip.pooled,
            "txt_ids": torch.zeros((t5.tokens.shape[1], 3)),
            "img_ids": positions(height, width, x.device),
            "return_dict": False,
        }
        double, single = control(pack(x), hints, **given)
        predicted = denoiser(
            pack(x),
            guidance=torch.ones(len(x)),
            controlnet_block_samples=double,
            controlnet_single_block_samples=single,
            **given,
        )[0]
        return unpack(predicted, height, width)


CONTROLS: Mapping[str, ControlDesign] = MappingProxyType(
    {"shapes": StableDiffusionControl(), "shapes-flux": FluxControl()}
)
"""ControlNets by the name of the model's design."""
ADAPTERS: Mapping[str, ControlDesign] = MappingProxyType({"shapes": StableDiffusionAdapter()})
"""T2I-Adapters likewise."""
