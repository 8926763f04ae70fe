"""The networks that only FLUX.2 has: their classes, and their tensors as Black Forest Labs published them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from latentry_diffusers.bundle.networks import VAE, Config, Layout, Network, Shape
from latentry_diffusers.layouts.layer import layer
from latentry_diffusers.layouts.pair import Pair
from latentry_diffusers.layouts.vae import vae_pairs

PATCH = 2
"""The autoencoder's own latents along each side of one of the denoiser's, which is a token."""


def flux2_pairs(config: Mapping[str, Any]) -> tuple[Pair, ...]:
    """Every tensor of diffusers' ``Flux2Transformer2DModel``; its layers have no biases.

    Args:
        config: its configuration in diffusers' keys.
    """
    pairs = [*_ends(guided=bool(config.get("guidance_embeds", True)))]
    for number in range(config["num_layers"]):
        pairs += _double(f"double_blocks.{number}", f"transformer_blocks.{number}")
    for number in range(config["num_single_layers"]):
        old, new = f"single_blocks.{number}", f"single_transformer_blocks.{number}.attn"
        pairs += layer(f"{old}.linear1", f"{new}.to_qkv_mlp_proj", bias=False)
        pairs += layer(f"{old}.linear2", f"{new}.to_out", bias=False)
        pairs += _norms(f"{old}.norm", f"{new}.norm")
    return tuple(pairs)


def _ends(*, guided: bool) -> Iterator[Pair]:
    """The layers before the blocks and after them, and the modulations that all blocks share."""
    yield from layer("img_in", "x_embedder", bias=False)
    yield from layer("txt_in", "context_embedder", bias=False)
    for original, name in (("time_in", "timestep_embedder"), ("guidance_in", "guidance_embedder"))[: 1 + guided]:
        yield from layer(f"{original}.in_layer", f"time_guidance_embed.{name}.linear_1", bias=False)
        yield from layer(f"{original}.out_layer", f"time_guidance_embed.{name}.linear_2", bias=False)
    for name in ("double_stream_modulation_img", "double_stream_modulation_txt", "single_stream_modulation"):
        yield from layer(f"{name}.lin", f"{name}.linear", bias=False)
    yield from layer("final_layer.linear", "proj_out", bias=False)
    yield from layer("final_layer.adaLN_modulation.1", "norm_out.linear", "halves", bias=False)


def _double(old: str, new: str) -> Iterator[Pair]:
    """A block with weights of its own for the picture and for the text."""
    for stream, (before, after), out, mlp, norm in (
        ("img", ("to_", ""), "to_out.0", "ff", "norm"),
        ("txt", ("add_", "_proj"), "to_add_out", "ff_context", "norm_added"),
    ):
        parts = tuple(f"{new}.attn.{before}{part}{after}.weight" for part in "qkv")
        yield Pair(f"{old}.{stream}_attn.qkv.weight", parts)
        yield from layer(f"{old}.{stream}_attn.proj", f"{new}.attn.{out}", bias=False)
        yield from _norms(f"{old}.{stream}_attn.norm", f"{new}.attn.{norm}")
        yield from layer(f"{old}.{stream}_mlp.0", f"{new}.{mlp}.linear_in", bias=False)
        yield from layer(f"{old}.{stream}_mlp.2", f"{new}.{mlp}.linear_out", bias=False)


def _norms(old: str, new: str) -> Iterator[Pair]:
    """The norms of queries and keys."""
    yield Pair(f"{old}.query_norm.scale", (f"{new}_q.weight",))
    yield Pair(f"{old}.key_norm.scale", (f"{new}_k.weight",))


def flux2_vae_pairs(config: Mapping[str, Any]) -> tuple[Pair, ...]:
    """Every tensor of ``AutoencoderKLFlux2``: those of ``AutoencoderKL``, and the statistics of its latents.

    Args:
        config: its configuration in diffusers' keys.
    """
    own = (replace(pair, original=_inside(pair.original)) for pair in vae_pairs(config))
    statistics = ("bn.running_mean", "bn.running_var", "bn.num_batches_tracked")
    return (*own, *(Pair(name, (name,)) for name in statistics))


def _inside(name: str) -> str:
    """The convolutions next to the latents belong to encoder and decoder here."""
    side = {"quant_conv": "encoder.", "post_quant_conv": "decoder."}.get(name.partition(".")[0], "")
    return f"{side}{name}"


def _width(config: Config) -> Shape:
    return (config["num_attention_heads"] * config["attention_head_dim"], config["in_channels"])


_PICTURES = "x_embedder.weight"
FLUX2 = Network(
    "diffusers:Flux2Transformer2DModel",
    _PICTURES,
    _width,
    (Layout(Pair("img_in.weight", (_PICTURES,)), flux2_pairs),),
)
FLUX2_VAE = Network(
    "diffusers:AutoencoderKLFlux2", VAE.witness, VAE.shape, (Layout(VAE.layouts[0].witness, flux2_vae_pairs),)
)
