"""The network classes of ControlNets, and their configurations from headers alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from latentry_controlnet.layouts import controlnet_pairs, xlabs_pairs
from latentry_diffusers.bundle.networks import Config, Layout, Network, PartSpec
from latentry_diffusers.files.headers import Headers, count, side
from latentry_diffusers.layouts.pair import Pair

NAME = "controlnet"
"""The name of the network among those of a request."""
PREFIXES = ("control_model.", "controlnet.")
TIME = "time_embedding.linear_1.weight"
EMBEDDER = "time_text_embed.timestep_embedder.linear_1.weight"
HEAD = 128
"""Width of an attention head in FLUX.1."""


def _widths(config: Config) -> tuple[int, ...]:
    width = config["block_out_channels"][0]
    return (4 * width, width)


def _transformer(config: Config) -> tuple[int, ...]:
    return (config["num_attention_heads"] * config["attention_head_dim"], 256)


UNET = PartSpec(
    NAME,
    Network(
        "diffusers:ControlNetModel",
        TIME,
        _widths,
        (Layout(Pair("time_embed.0.weight", (TIME,)), controlnet_pairs),),
    ),
    {"block_out_channels": list},
    PREFIXES,
)
UNION = PartSpec(NAME, Network("diffusers:ControlNetUnionModel", TIME, _widths), {"block_out_channels": list}, PREFIXES)
SD3 = PartSpec(NAME, Network("diffusers:SD3ControlNetModel", EMBEDDER, _transformer), {"num_layers": int}, PREFIXES)
FLUX = PartSpec(
    NAME,
    Network(
        "diffusers:FluxControlNetModel",
        EMBEDDER,
        _transformer,
        (Layout(Pair("time_in.in_layer.weight", (EMBEDDER,)), xlabs_pairs),),
    ),
    {"num_layers": int},
    PREFIXES,
)


def likely_unet(base: Config) -> dict[str, Any]:
    """The configuration of a ControlNet that is a copy of half a UNet."""
    names = (
        *(
            "block_out_channels",
            "layers_per_block",
            "down_block_types",
            "transformer_layers_per_block",
            "norm_num_groups",
        ),
        *(
            "cross_attention_dim",
            "attention_head_dim",
            "num_attention_heads",
            "use_linear_projection",
            "upcast_attention",
        ),
        *("addition_embed_type", "addition_time_embed_dim", "projection_class_embeddings_input_dim", "norm_eps"),
        *("flip_sin_to_cos", "freq_shift", "act_fn"),
    )
    return {name: base[name] for name in names if base.get(name) is not None} | {"in_channels": 4}


def unet_shape(headers: Headers) -> Mapping[str, Any]:
    """What the headers say of a ControlNet for a UNet: which blocks attend, how deep, and its embedding's widths."""
    levels = count(headers, lambda n: f"down_blocks.{n}.resnets.0.conv1.weight")
    deep = [_depth(headers, f"down_blocks.{level}.attentions.0") for level in range(levels)]
    middle = _depth(headers, "mid_block.attentions.0")
    found: dict[str, Any] = {
        "down_block_types": ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in deep],
        "mid_block_type": "UNetMidBlock2DCrossAttn" if middle else "UNetMidBlock2D",
        "transformer_layers_per_block": [depth or 1 for depth in (*deep[:-1], deep[-1] or middle)],
        "conditioning_embedding_out_channels": _embedding_widths(headers),
    }
    if (types := side(headers, "task_embedding", 0)) is not None:
        found["num_control_type"] = types
    return found


def flux_shape(headers: Headers) -> Mapping[str, Any]:
    """What the headers say of a ControlNet for FLUX.1."""
    found: dict[str, Any] = {
        "num_layers": count(headers, lambda n: f"controlnet_blocks.{n}.weight"),
        "num_single_layers": count(headers, lambda n: f"controlnet_single_blocks.{n}.weight"),
        "guidance_embeds": "time_text_embed.guidance_embedder.linear_1.weight" in headers,
        "num_mode": side(headers, "controlnet_mode_embedder.weight", 0),
        "conditioning_embedding_channels": side(headers, "input_hint_block.conv_out.weight", 0),
    }
    return found


def _depth(headers: Headers, name: str) -> int:
    return count(headers, lambda n: f"{name}.transformer_blocks.{n}.norm1.weight")


def _embedding_widths(headers: Headers) -> list[int]:
    """The output widths of the embedding's convolutions; every second one halves the picture."""
    first = side(headers, "controlnet_cond_embedding.conv_in.weight", 0)
    blocks = [name for name in headers if re.fullmatch(r"controlnet_cond_embedding\.blocks\.\d+\.weight", name)]
    rest = (side(headers, f"controlnet_cond_embedding.blocks.{2 * n + 1}.weight", 0) for n in range(len(blocks) // 2))
    return [width for width in (first, *rest) if width is not None]
