"""UNets, autoencoders and CLIP in the layouts in which they were published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from latentry import ModelError
from latentry_diffusers.bundle.known_tensors import is_useless
from latentry_diffusers.bundle.published import CLIP_G, CLIP_L, VAE_4, VAE_16
from latentry_diffusers.layouts import Pair, backward, forward
from latentry_diffusers.layouts.clip import clip_pairs, open_clip_pairs
from latentry_diffusers.layouts.unet import unet_pairs
from latentry_diffusers.layouts.vae import old_vae_pairs, vae_pairs

Tensors = Mapping[str, Tensor]
Case = tuple[tuple[Pair, ...], Tensors]

SMALL = {"block_out_channels": (8, 16), "norm_num_groups": 4, "attention_head_dim": 4, "cross_attention_dim": 12}
PLAIN, CROSS = "DownBlock2D", "CrossAttnDownBlock2D"
UP_PLAIN, UP_CROSS = "UpBlock2D", "CrossAttnUpBlock2D"
UNETS: Mapping[str, Mapping[str, Any]] = {
    "attention above": {"down_block_types": (CROSS, PLAIN), "up_block_types": (UP_PLAIN, UP_CROSS)},
    "attention below": {"down_block_types": (PLAIN, CROSS), "up_block_types": (UP_CROSS, UP_PLAIN)},
    "one layer": {
        "down_block_types": (CROSS, CROSS),
        "up_block_types": (UP_CROSS, UP_CROSS),
        "layers_per_block": 1,
        "use_linear_projection": True,
    },
    "layers and depths by level": {
        "down_block_types": (PLAIN, CROSS, PLAIN),
        "up_block_types": (UP_PLAIN, UP_CROSS, UP_PLAIN),
        "block_out_channels": (8, 8, 16),
        "layers_per_block": (1, 3, 2),
        "transformer_layers_per_block": (1, 2, 3),
    },
    "told sizes": {
        "down_block_types": (PLAIN, CROSS),
        "up_block_types": (UP_CROSS, UP_PLAIN),
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 4,
        "projection_class_embeddings_input_dim": 40,
    },
}
VAES: Mapping[str, Mapping[str, Any]] = {
    "4 channels": VAE_4,
    "16 channels": VAE_16,
    "without attention": {**VAE_4, "mid_block_add_attention": False},
    "one width": {**VAE_4, "block_out_channels": (64,) * 4, "layers_per_block": 3},
}
CLIP = {**CLIP_L, "num_hidden_layers": 3, "vocab_size": 40, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}


def unet(config: Mapping[str, Any]) -> Case:
    network = UNet2DConditionModel(**(SMALL | config))
    return unet_pairs(network.config), network.state_dict()


def vae(config: Mapping[str, Any], pairs: Callable[..., tuple[Pair, ...]] = vae_pairs) -> Case:
    network = AutoencoderKL(**config)
    return pairs(network.config), network.state_dict()


def clip(pairs: Callable[..., tuple[Pair, ...]], projected: bool) -> Case:
    network = (CLIPTextModelWithProjection if projected else CLIPTextModel)(CLIPTextConfig(**CLIP))
    held = network.state_dict()
    root = "text_model." if any(name.startswith("text_model.") for name in held) else ""
    return pairs(CLIP, root=root, projected=projected), held


NETWORKS: Mapping[str, Callable[[], Case]] = {
    **{f"unet, {name}": lambda config=config: unet(config) for name, config in UNETS.items()},
    **{f"vae, {name}": lambda config=config: vae(config) for name, config in VAES.items()},
    "vae, as diffusers was": lambda: vae(VAE_4, old_vae_pairs),
    "clip": lambda: clip(clip_pairs, False),
    "clip, projected": lambda: clip(clip_pairs, True),
    "open clip": lambda: clip(open_clip_pairs, False),
    "open clip, projected": lambda: clip(open_clip_pairs, True),
}


@pytest.fixture(params=NETWORKS)
def case(request: pytest.FixtureRequest) -> Case:
    """Pairs and the network they are for, without memory."""
    with torch.device("meta"):
        return NETWORKS[request.param]()


def test_every_tensor_of_the_network_is_named_once(case: Case) -> None:
    pairs, tensors = case
    assert sorted(name for pair in pairs for name in pair.diffusers) == sorted(tensors)
    assert len({pair.original for pair in pairs}) == len(pairs)


def test_there_and_back_keeps_every_shape(case: Case) -> None:
    pairs, tensors = case
    for pair in pairs:
        back = forward(pair, backward(pair, tensors))
        assert {name: tensor.shape for name, tensor in back.items()} == {n: tensors[n].shape for n in pair.diffusers}


@pytest.mark.parametrize(
    ("attends", "names"),
    [
        ((True, True, True, False), {"output_blocks.2.1", "output_blocks.5.2", "output_blocks.8.2"}),
        ((False, True, True), {"output_blocks.2.2", "output_blocks.5.2"}),
        ((False, True, True, False), {"output_blocks.2.1", "output_blocks.5.2", "output_blocks.8.2"}),
    ],
    ids=["1.5", "XL", "refiner"],
)
def test_pictures_grow_where_they_do_in_the_published_files(attends: tuple[bool, ...], names: set[str]) -> None:
    """Behind the attention of the block before, where it has one; diffusers takes either place."""
    config = {
        "block_out_channels": (8, 16, 16, 16)[: len(attends)],
        "down_block_types": [CROSS if attending else PLAIN for attending in attends],
        "up_block_types": [UP_CROSS if attending else UP_PLAIN for attending in reversed(attends)],
    }
    ups = {pair.original for pair in unet_pairs(config) if ".upsamplers." in pair.diffusers[0]}
    assert ups == {f"{name}.conv.{end}" for name in names for end in ("weight", "bias")}


def test_attention_is_stacked_in_the_order_query_key_value() -> None:
    pairs, _ = clip(open_clip_pairs, False)
    pair = next(pair for pair in pairs if pair.original == "transformer.resblocks.0.attn.in_proj_bias")
    pieces = forward(pair, torch.arange(6.0))
    assert {name.split(".")[-2]: piece.tolist() for name, piece in pieces.items()} == {
        "q_proj": [0, 1],
        "k_proj": [2, 3],
        "v_proj": [4, 5],
    }


def test_the_autoencoders_projections_are_convolutions_there() -> None:
    pairs, tensors = vae(VAE_4)
    there = {pair.original: backward(pair, tensors) for pair in pairs}
    for side in ("encoder", "decoder"):
        query, here = there[f"{side}.mid.attn_1.q.weight"], tensors[f"{side}.mid_block.attentions.0.to_q.weight"]
        assert query.shape == (512, 512, 1, 1)
        assert torch.equal(query[:, :, 0, 0], here)
        assert there[f"{side}.mid.attn_1.proj_out.weight"].shape == (512, 512, 1, 1)


def test_files_of_stable_diffusion_2_hold_a_layer_more() -> None:
    shallow, deep = ({**CLIP_G, "num_hidden_layers": layers} for layers in (23, 24))
    all_of_it = {pair.original for pair in open_clip_pairs(deep, projected=True)} | {"logit_scale"}
    used = {pair.original for pair in open_clip_pairs(shallow)}
    assert {name for name in all_of_it if is_useless(f"cond_stage_model.model.{name}")} == all_of_it - used
    assert not any(is_useless(f"conditioner.embedders.1.model.{name}") for name in all_of_it - {"logit_scale"})


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"mid_block_type": "UNetMidBlock2DSimpleCrossAttn"}, "UNetMidBlock2DSimpleCrossAttn"),
        ({"down_block_types": ("AttnDownBlock2D", "DownBlock2D")}, "AttnDownBlock2D"),
        ({"addition_embed_type": "image"}, "image"),
        ({"class_embed_type": "timestep"}, "class_embed_type"),
        ({"time_cond_proj_dim": 256}, "time_cond_proj_dim"),
    ],
)
def test_networks_without_names_there_are_refused(config: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match="original layout") as error:
        unet_pairs(SMALL | config)
    assert said in error.value.why


def test_autoencoders_without_names_there_are_refused() -> None:
    with pytest.raises(ModelError, match="original layout"):
        vae_pairs({"down_block_types": ("AttnDownEncoderBlock2D",)})
