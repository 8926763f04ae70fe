"""The transformer of FLUX.1 as Black Forest Labs published it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from latentry_diffusers.layouts.layer import layer
from latentry_diffusers.layouts.pair import Pair
from latentry_diffusers.layouts.stack import stack


def flux_pairs(config: Mapping[str, Any]) -> tuple[Pair, ...]:
    """Every tensor of diffusers' ``FluxTransformer2DModel``.

    Args:
        config: its configuration in diffusers' keys.
    """
    width = config["num_attention_heads"] * config["attention_head_dim"]
    pairs = [*_ends(guided=bool(config.get("guidance_embeds")))]
    for number in range(config["num_layers"]):
        pairs += _double(f"double_blocks.{number}", f"transformer_blocks.{number}")
    for number in range(config["num_single_layers"]):
        pairs += _single(f"single_blocks.{number}", f"single_transformer_blocks.{number}", width)
    return tuple(pairs)


def _ends(*, guided: bool) -> Iterator[Pair]:
    """The layers before the blocks and after them."""
    yield from layer("img_in", "x_embedder")
    yield from layer("txt_in", "context_embedder")
    embedders = [("time_in", "timestep_embedder"), ("vector_in", "text_embedder")]
    for original, name in [*embedders, ("guidance_in", "guidance_embedder")] if guided else embedders:
        yield from layer(f"{original}.in_layer", f"time_text_embed.{name}.linear_1")
        yield from layer(f"{original}.out_layer", f"time_text_embed.{name}.linear_2")
    yield from layer("final_layer.linear", "proj_out")
    yield from layer("final_layer.adaLN_modulation.1", "norm_out.linear", "halves")


def _double(old: str, new: str) -> Iterator[Pair]:
    """A block with weights of its own for the picture and for the text."""
    yield from stack(f"{old}.img_attn.qkv", [f"{new}.attn.to_{part}" for part in "qkv"])
    yield from stack(f"{old}.txt_attn.qkv", [f"{new}.attn.add_{part}_proj" for part in "qkv"])
    yield from layer(f"{old}.img_attn.proj", f"{new}.attn.to_out.0")
    yield from layer(f"{old}.txt_attn.proj", f"{new}.attn.to_add_out")
    yield from _norms(f"{old}.img_attn.norm", f"{new}.attn.norm")
    yield from _norms(f"{old}.txt_attn.norm", f"{new}.attn.norm_added")
    for stream, suffix in (("img", ""), ("txt", "_context")):
        yield from layer(f"{old}.{stream}_mod.lin", f"{new}.norm1{suffix}.linear")
        yield from layer(f"{old}.{stream}_mlp.0", f"{new}.ff{suffix}.net.0.proj")
        yield from layer(f"{old}.{stream}_mlp.2", f"{new}.ff{suffix}.net.2")


def _single(old: str, new: str, width: int) -> Iterator[Pair]:
    """A block for both at once, whose attention and feed-forward layers share their first and last matrix."""
    yield from layer(f"{old}.modulation.lin", f"{new}.norm.linear")
    first = [f"{new}.attn.to_q", f"{new}.attn.to_k", f"{new}.attn.to_v", f"{new}.proj_mlp"]
    yield from stack(f"{old}.linear1", first, rows=(width, width, width, 4 * width))
    yield from layer(f"{old}.linear2", f"{new}.proj_out")
    yield from _norms(f"{old}.norm", f"{new}.attn.norm")


def _norms(old: str, new: str) -> Iterator[Pair]:
    """The norms of queries and keys."""
    yield Pair(f"{old}.query_norm.scale", (f"{new}_q.weight",))
    yield Pair(f"{old}.key_norm.scale", (f"{new}_k.weight",))
