"""The layouts in which ControlNets were first published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from latentry_diffusers.layouts.flux import flux_pairs
from latentry_diffusers.layouts.layer import layer
from latentry_diffusers.layouts.pair import Pair
from latentry_diffusers.layouts.unet import unet_pairs

SHARED = ("conv_in.", "time_embedding.", "add_embedding.", "down_blocks.", "mid_block.")
"""What a ControlNet has in common with its UNet."""
HINT_BLOCKS = 6
"""Convolutions of the embedding of the picture, between the first and the last."""


def controlnet_pairs(config: Mapping[str, Any]) -> tuple[Pair, ...]:
    """Every tensor of diffusers' ``ControlNetModel``, in the layout of its authors (Zhang et al. 2023).

    Args:
        config: of the network.
    """
    up = [kind.replace("Down", "Up") for kind in config["down_block_types"]][::-1]
    unet = unet_pairs({**config, "up_block_types": up})
    skips = 1 + len(up) * config.get("layers_per_block", 2) + len(up) - 1
    return (
        *(pair for pair in unet if pair.diffusers[0].startswith(SHARED)),
        *_hint("controlnet_cond_embedding"),
        *(pair for n in range(skips) for pair in layer(f"zero_convs.{n}.0", f"controlnet_down_blocks.{n}")),
        *layer("middle_block_out.0", "controlnet_mid_block"),
    )


def xlabs_pairs(config: Mapping[str, Any]) -> tuple[Pair, ...]:
    """Every tensor of diffusers' ``FluxControlNetModel``, in the layout of XLabs.

    Args:
        config: of the network.
    """
    kept = ("x_embedder.", "context_embedder.", "time_text_embed.", "transformer_blocks.")
    blocks = range(config["num_layers"])
    return (
        *(pair for pair in flux_pairs(config) if pair.diffusers[0].startswith(kept)),
        *layer("pos_embed_input", "controlnet_x_embedder"),
        *_hint("input_hint_block"),
        *(pair for n in blocks for pair in layer(f"controlnet_blocks.{n}", f"controlnet_blocks.{n}")),
    )


def _hint(name: str) -> Iterator[Pair]:
    """The convolutions between which there are activations, which count too in the original numbers."""
    yield from layer("input_hint_block.0", f"{name}.conv_in")
    for number in range(HINT_BLOCKS):
        yield from layer(f"input_hint_block.{2 + 2 * number}", f"{name}.blocks.{number}")
    yield from layer(f"input_hint_block.{2 + 2 * HINT_BLOCKS}", f"{name}.conv_out")
