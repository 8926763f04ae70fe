"""The autoencoder in the layout of CompVis' latent-diffusion, which Stability's models and FLUX share.

``decoder.up.0`` is the finest level there, and the projections of attention are 1×1 convolutions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from latentry import ModelError
from latentry_diffusers.layouts.layer import layer
from latentry_diffusers.layouts.pair import Pair

ATTENTION = {"q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}
OLD_ATTENTION = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
"""diffusers' names before 0.17, which some files still have."""


def vae_pairs(config: Mapping[str, Any]) -> tuple[Pair, ...]:
    """Every tensor of the autoencoder with this configuration.

    Args:
        config: of diffusers' ``AutoencoderKL``; keys that are absent have its defaults.

    Raises:
        ModelError: the original layout has no names for some of the network's blocks.
    """
    types = (*config.get("down_block_types", ()), *config.get("up_block_types", ()))
    if unknown := sorted(set(types) - {"DownEncoderBlock2D", "UpDecoderBlock2D"}):
        raise ModelError(
            "The autoencoder cannot be written or read in the original layout.",
            why=f"That layout has no names for {', '.join(unknown)}.",
            remedy="Use the folder in the diffusers layout.",
        )
    return (*_encoder(config), *_decoder(config), *_around(config))


def old_vae_pairs(config: Mapping[str, Any]) -> tuple[Pair, ...]:
    """The same tensors as early diffusers saved them: linear layers already, under other names."""
    return tuple(Pair(_old(name), (name,)) for pair in vae_pairs(config) for name in pair.diffusers)


def _old(name: str) -> str:
    if ".attentions." not in name:
        return name
    for new, old in OLD_ATTENTION.items():
        name = name.replace(f".{new}.", f".{old}.")
    return name


def _around(config: Mapping[str, Any]) -> Iterator[Pair]:
    """The convolutions next to the latents, which the autoencoders with 16 channels do without."""
    for name in ("quant_conv", "post_quant_conv"):
        if config.get(f"use_{name}", True):
            yield from layer(name, name)


def _encoder(config: Mapping[str, Any]) -> Iterator[Pair]:
    widths = tuple(config.get("block_out_channels", (64,)))
    yield from _ends("encoder")
    before = widths[0]
    for level, width in enumerate(widths):
        there, here = f"encoder.down.{level}", f"encoder.down_blocks.{level}"
        yield from _blocks(there, here, config.get("layers_per_block", 1), before != width)
        if level < len(widths) - 1:
            yield from layer(f"{there}.downsample.conv", f"{here}.downsamplers.0.conv")
        before = width
    yield from _middle("encoder", config)


def _decoder(config: Mapping[str, Any]) -> Iterator[Pair]:
    widths = tuple(config.get("block_out_channels", (64,)))[::-1]
    yield from _ends("decoder")
    before = widths[0]
    for level, width in enumerate(widths):
        there, here = f"decoder.up.{len(widths) - 1 - level}", f"decoder.up_blocks.{level}"
        yield from _blocks(there, here, config.get("layers_per_block", 1) + 1, before != width)
        if level < len(widths) - 1:
            yield from layer(f"{there}.upsample.conv", f"{here}.upsamplers.0.conv")
        before = width
    yield from _middle("decoder", config)


def _ends(side: str) -> Iterator[Pair]:
    for there, here in {"conv_in": "conv_in", "norm_out": "conv_norm_out", "conv_out": "conv_out"}.items():
        yield from layer(f"{side}.{there}", f"{side}.{here}")


def _blocks(original: str, diffusers: str, number: int, widens: bool) -> Iterator[Pair]:
    """The residual blocks of a level, of which the first may change the width."""
    for index in range(number):
        yield from _residual(f"{original}.block.{index}", f"{diffusers}.resnets.{index}", widens and index == 0)


def _middle(side: str, config: Mapping[str, Any]) -> Iterator[Pair]:
    there, here = f"{side}.mid", f"{side}.mid_block"
    yield from _residual(f"{there}.block_1", f"{here}.resnets.0", False)
    yield from _residual(f"{there}.block_2", f"{here}.resnets.1", False)
    if not config.get("mid_block_add_attention", True):
        return
    yield from layer(f"{there}.attn_1.norm", f"{here}.attentions.0.group_norm")
    for name, ours in ATTENTION.items():
        yield from layer(f"{there}.attn_1.{name}", f"{here}.attentions.0.{ours}", "conv")


def _residual(original: str, diffusers: str, shortcut: bool) -> Iterator[Pair]:
    for name in ("norm1", "conv1", "norm2", "conv2"):
        yield from layer(f"{original}.{name}", f"{diffusers}.{name}")
    if shortcut:
        yield from layer(f"{original}.nin_shortcut", f"{diffusers}.conv_shortcut")
