"""Transformers and T5 in the layouts in which they were published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gguf
import pytest
import torch
from diffusers import FluxTransformer2DModel, SD3Transformer2DModel
from torch import Tensor
from transformers import T5Config, T5EncoderModel

from latentry_diffusers.bundle.published import T5_XXL
from latentry_diffusers.layouts import Pair, backward, forward
from latentry_diffusers.layouts.flux import flux_pairs
from latentry_diffusers.layouts.sd3 import sd3_pairs
from latentry_diffusers.layouts.t5 import t5_gguf_pairs, t5_pairs, t5_single_pairs

Tensors = Mapping[str, Tensor]
HEADS = {"num_attention_heads": 4, "attention_head_dim": 16}
FLUX = {**HEADS, "num_layers": 2, "num_single_layers": 3, "axes_dims_rope": (4, 6, 6), "in_channels": 16}
FLUX |= {"joint_attention_dim": 24, "pooled_projection_dim": 40}
SD3 = {**HEADS, "num_layers": 3, "caption_projection_dim": 64, "joint_attention_dim": 24, "pooled_projection_dim": 40}
SD3 |= {"sample_size": 8, "pos_embed_max_size": 8}
T5 = {"vocab_size": 64, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 3, "num_heads": 4}


def flux(**settings: Any) -> tuple[tuple[Pair, ...], Tensors]:
    network = FluxTransformer2DModel(**FLUX, **settings)
    return flux_pairs(network.config), network.state_dict()


def sd3(**settings: Any) -> tuple[tuple[Pair, ...], Tensors]:
    network = SD3Transformer2DModel(**SD3, **settings)
    return sd3_pairs(network.config), network.state_dict()


def t5(config: Any, pairs: Callable[[Any], tuple[Pair, ...]]) -> tuple[tuple[Pair, ...], Tensors]:
    network = T5EncoderModel(T5Config(**config))
    held = network.state_dict()
    assert held.pop("encoder.embed_tokens.weight").shape == held["shared.weight"].shape  # the same weights twice
    return pairs(network.config.to_dict()), held


NETWORKS: Mapping[str, Callable[[], tuple[tuple[Pair, ...], Tensors]]] = {
    "flux": lambda: flux(guidance_embeds=True),
    "flux without guidance": lambda: flux(guidance_embeds=False),
    "flux that fills": lambda: flux(guidance_embeds=True, out_channels=8),
    "sd3": lambda: sd3(),
    "sd3 with norms": lambda: sd3(qk_norm="rms_norm"),
    "sd3 that attends twice": lambda: sd3(qk_norm="rms_norm", dual_attention_layers=(0, 1)),
    "sd3 that attends twice in the end": lambda: sd3(qk_norm="rms_norm", dual_attention_layers=(2,)),
    "t5": lambda: t5({**T5, "feed_forward_proj": "gated-gelu"}, t5_pairs),
    "t5 of llama.cpp": lambda: t5({**T5, "feed_forward_proj": "gated-gelu"}, t5_gguf_pairs),
    "t5 without gates": lambda: t5({**T5, "feed_forward_proj": "relu"}, t5_gguf_pairs),
}


@pytest.fixture(params=NETWORKS)
def case(request: pytest.FixtureRequest) -> tuple[tuple[Pair, ...], Tensors]:
    """Pairs, and the tensors of the network that they are for, each with values of its own."""
    pairs, tensors = NETWORKS[request.param]()
    drawn = torch.Generator().manual_seed(0)
    return pairs, {name: torch.randn(tensor.shape, generator=drawn) for name, tensor in tensors.items()}


def test_every_tensor_of_the_network_is_named_once(case: tuple[tuple[Pair, ...], Tensors]) -> None:
    pairs, tensors = case
    names = [name for pair in pairs for name in pair.diffusers]
    assert sorted(names) == sorted(tensors)
    assert len({pair.original for pair in pairs}) == len(pairs)


def test_there_and_back_changes_nothing(case: tuple[tuple[Pair, ...], Tensors]) -> None:
    pairs, tensors = case
    back: dict[str, Tensor] = {}
    for pair in pairs:
        back |= forward(pair, backward(pair, tensors))
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in tensors.items())


def test_pieces_of_a_stack_share_its_memory() -> None:
    pairs, tensors = flux()
    pair = next(pair for pair in pairs if pair.original == "single_blocks.0.linear1.weight")
    whole = backward(pair, tensors)
    assert {piece.untyped_storage().data_ptr() for piece in forward(pair, whole).values()} == {
        whole.untyped_storage().data_ptr()
    }


def test_the_published_t5_is_complete() -> None:
    with torch.device("meta"):
        held = set(T5EncoderModel(T5Config(**T5_XXL)).state_dict())
    assert {name for pair in t5_pairs(T5_XXL) for name in pair.diffusers} == held - {"encoder.embed_tokens.weight"}
    assert {pair.original for pair in t5_single_pairs(T5_XXL)} == held


def test_llama_cpp_names_t5_as_its_own_table_does() -> None:
    theirs = gguf.get_tensor_name_map(gguf.MODEL_ARCH.T5ENCODER, T5_XXL["num_layers"])
    for pair in t5_gguf_pairs(T5_XXL):
        assert pair.original == theirs.get_name(pair.diffusers[0], try_suffixes=(".weight",))
