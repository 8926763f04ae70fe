"""Small random networks of every family, by part, with inputs to run them on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from diffusers import FluxTransformer2DModel, SD3Transformer2DModel, UNet2DConditionModel
from torch import Tensor, nn

from latentry_diffusers.layouts import Pair
from latentry_diffusers.layouts.flux import flux_pairs
from latentry_diffusers.layouts.sd3 import sd3_pairs
from latentry_diffusers.layouts.unet import unet_pairs
from support.parts import TOKENS, clip, t5

WIDTH = 16
WORDS = 50
Originals = Callable[[Mapping[str, Any]], tuple[Pair, ...]]
"""Gives the denoiser's names in its original layout, from its configuration."""


def unet() -> UNet2DConditionModel:
    """With projections that are linear layers, as in Stable Diffusion 2 and XL."""
    return UNet2DConditionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=8,
        norm_num_groups=4,
        use_linear_projection=True,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )


def sd3() -> SD3Transformer2DModel:
    """With one block that attends twice."""
    return SD3Transformer2DModel(
        sample_size=8,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=24,
        caption_projection_dim=WIDTH,
        pooled_projection_dim=32,
        pos_embed_max_size=8,
        dual_attention_layers=(0,),
        qk_norm="rms_norm",
    )


def flux() -> FluxTransformer2DModel:
    """With one block of each kind."""
    return FluxTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=24,
        pooled_projection_dim=16,
        guidance_embeds=True,
        axes_dims_rope=(2, 2, 4),
    )


def families() -> dict[str, tuple[dict[str, nn.Module], Originals]]:
    """Networks by part, and the denoiser's original names, of every family. Values come from torch's global stream."""
    one, two = (clip(WORDS, width=WIDTH, projected=projected) for projected in (False, True))
    t = t5(WORDS, width=WIDTH)
    return {
        "sd": ({"text_encoder": one, "unet": unet()}, unet_pairs),
        "sdxl": ({"text_encoder": one, "text_encoder_2": two, "unet": unet()}, unet_pairs),
        "sd3": ({"text_encoder": two, "text_encoder_2": two, "text_encoder_3": t, "transformer": sd3()}, sd3_pairs),
        "flux": ({"text_encoder": one, "text_encoder_2": t, "transformer": flux()}, flux_pairs),
    }


@torch.no_grad()
def run(network: Any) -> Tensor:
    """What a network of a family, or PEFT's wrapper of one, makes of random inputs; they are the same at each call."""
    bare = network.get_base_model() if hasattr(network, "get_base_model") else network
    return RUNS[type(bare).__name__](network)


def _normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def _unet(network: Any) -> Tensor:
    out: Tensor = network(_normal(2, 4, 8, 8), torch.tensor(7.0), _normal(2, 5, WIDTH)).sample
    return out


def _sd3(network: Any) -> Tensor:
    out: Tensor = network(
        hidden_states=_normal(2, 16, 8, 8),
        encoder_hidden_states=_normal(2, 5, 24),
        pooled_projections=_normal(2, 32),
        timestep=torch.tensor([300.0, 300.0]),
    ).sample
    return out


def _flux(network: Any) -> Tensor:
    out: Tensor = network(
        hidden_states=_normal(2, 16, 16),
        encoder_hidden_states=_normal(2, 5, 24),
        pooled_projections=_normal(2, 16),
        timestep=torch.tensor([0.3, 0.3]),
        img_ids=torch.arange(48.0).view(16, 3) % 4,
        txt_ids=torch.zeros(5, 3),
        guidance=torch.tensor([3.5, 3.5]),
    ).sample
    return out


def _text(network: Any) -> Tensor:
    words = torch.randint(0, WORDS - 2, (2, TOKENS), generator=torch.Generator().manual_seed(5))
    out = network(input_ids=words)
    pooled = getattr(out, "text_embeds", None)
    states: Tensor = out.last_hidden_state
    return states if pooled is None else torch.cat([states.flatten(1), pooled], dim=1)


RUNS: Mapping[str, Callable[[Any], Tensor]] = {
    "UNet2DConditionModel": _unet,
    "SD3Transformer2DModel": _sd3,
    "FluxTransformer2DModel": _flux,
    "CLIPTextModel": _text,
    "CLIPTextModelWithProjection": _text,
    "T5EncoderModel": _text,
}
