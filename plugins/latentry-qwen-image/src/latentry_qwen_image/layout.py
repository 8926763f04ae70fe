"""The networks that only Qwen-Image has; single files hold the transformer under diffusers' own names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from latentry_diffusers.bundle.networks import Config, Layout, Network, Shape
from latentry_diffusers.layouts.layer import layer
from latentry_diffusers.layouts.pair import Pair
from latentry_qwen_image.vae_layout import qwen_image_vae_pairs

STREAMS = ("img", "txt")


def qwen_image_pairs(config: Mapping[str, Any]) -> tuple[Pair, ...]:
    """Every tensor of diffusers' ``QwenImageTransformer2DModel``, which was published under the same names.

    Args:
        config: its configuration in diffusers' keys.
    """
    pairs = [*_same("img_in"), *_same("txt_in"), *_same("norm_out.linear"), *_same("proj_out")]
    pairs += layer("txt_norm", "txt_norm", bias=False)
    for name in ("linear_1", "linear_2"):
        pairs += _same(f"time_text_embed.timestep_embedder.{name}")
    for number in range(config["num_layers"]):
        pairs += _block(f"transformer_blocks.{number}")
    return tuple(pairs)


def _block(name: str) -> Iterator[Pair]:
    for stream in STREAMS:
        for part in ("mod.1", "mlp.net.0.proj", "mlp.net.2"):
            yield from _same(f"{name}.{stream}_{part}")
    for part in "qkv":
        yield from _same(f"{name}.attn.to_{part}")
        yield from _same(f"{name}.attn.add_{part}_proj")
    for part in ("to_out.0", "to_add_out"):
        yield from _same(f"{name}.attn.{part}")
    for part in ("norm_q", "norm_k", "norm_added_q", "norm_added_k"):
        yield from layer(f"{name}.attn.{part}", f"{name}.attn.{part}", bias=False)


def _same(name: str) -> Iterator[Pair]:
    return layer(name, name)


def _pictures(config: Config) -> Shape:
    return (config["num_attention_heads"] * config["attention_head_dim"], config["in_channels"])


def _middle(config: Config) -> Shape:
    width = config["base_dim"] * config["dim_mult"][-1]
    return (3 * width, width, 1, 1)


_FIRST = "img_in.weight"
QWEN_IMAGE = Network(
    "diffusers:QwenImageTransformer2DModel",
    _FIRST,
    _pictures,
    (Layout(Pair(_FIRST, (_FIRST,)), qwen_image_pairs),),
)
_ATTENTION = "decoder.mid_block.attentions.0.to_qkv.weight"
QWEN_IMAGE_VAE = Network(
    "diffusers:AutoencoderKLQwenImage",
    _ATTENTION,
    _middle,
    (Layout(Pair("decoder.middle.1.to_qkv.weight", (_ATTENTION,)), qwen_image_vae_pairs),),
)
