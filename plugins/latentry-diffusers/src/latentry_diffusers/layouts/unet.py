"""The UNet of Stable Diffusion 1.x, 2.x and XL in the layout of CompVis' latent-diffusion and of Stability's.

The blocks are numbered consecutively there: ``input_blocks.0`` is the first convolution, and every residual block and
every change of resolution on the way down has a number. On the way up a change of resolution is part of the block
before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from latentry import ModelError
from latentry_diffusers.layouts.layer import layer
from latentry_diffusers.layouts.pair import Pair

DEFAULTS: Mapping[str, Any] = {
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "transformer_layers_per_block": 1,
    "down_block_types": (*("CrossAttnDownBlock2D",) * 3, "DownBlock2D"),
    "up_block_types": ("UpBlock2D", *("CrossAttnUpBlock2D",) * 3),
    "mid_block_type": "UNetMidBlock2DCrossAttn",
}
"""diffusers' values for keys that are absent."""

ATTENDING = {"CrossAttnDownBlock2D": True, "CrossAttnUpBlock2D": True, "DownBlock2D": False, "UpBlock2D": False}
"""The blocks that the layout knows, and whether they attend to the text."""

OTHER_EMBEDDINGS = ("class_embed_type", "encoder_hid_dim_type", "time_cond_proj_dim", "time_embedding_act_fn")
"""Keys of networks with inputs that the layout has no names for."""

RESIDUAL = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
}


def unet_pairs(config: Mapping[str, Any]) -> tuple[Pair, ...]:
    """Every tensor of the UNet with this configuration.

    Args:
        config: of diffusers' ``UNet2DConditionModel``; keys that are absent have its defaults.

    Raises:
        ModelError: the original layout has no names for some of the network's blocks.
    """
    settings = {**DEFAULTS, **{key: value for key, value in config.items() if value is not None}}
    _check(settings)
    skips = [settings["block_out_channels"][0]]
    return (*_ends(settings), *_down(settings, skips), *_middle(settings), *_up(settings, skips))


def _check(settings: Mapping[str, Any]) -> None:
    blocks = {*settings["down_block_types"], *settings["up_block_types"], settings["mid_block_type"]}
    unknown = sorted(blocks - set(ATTENDING) - {DEFAULTS["mid_block_type"]})
    unknown += [key for key in OTHER_EMBEDDINGS if key in settings]
    unknown += {settings.get("addition_embed_type", "text_time")} - {"text_time"}
    if unknown:
        raise ModelError(
            "The UNet cannot be written or read in the original layout.",
            why=f"That layout has no names for {', '.join(unknown)}.",
            remedy="Use the folder in the diffusers layout.",
        )


def _ends(settings: Mapping[str, Any]) -> Iterator[Pair]:
    yield from layer("input_blocks.0.0", "conv_in")
    for original, diffusers in {"time_embed.0": "linear_1", "time_embed.2": "linear_2"}.items():
        yield from layer(original, f"time_embedding.{diffusers}")
    if settings.get("addition_embed_type"):
        yield from layer("label_emb.0.0", "add_embedding.linear_1")
        yield from layer("label_emb.0.2", "add_embedding.linear_2")
    yield from layer("out.0", "conv_norm_out")
    yield from layer("out.2", "conv_out")


def _down(settings: Mapping[str, Any], skips: list[int]) -> Iterator[Pair]:
    """Blocks on the way down; appends the width of each one's output to the skip connections."""
    widths, depths = settings["block_out_channels"], _depths(settings)
    layers, numbers = _each(settings["layers_per_block"], len(widths)), count(1)
    for level, width in enumerate(widths):
        name = f"down_blocks.{level}"
        for index in range(layers[level]):
            block = f"input_blocks.{next(numbers)}"
            yield from _residual(f"{block}.0", f"{name}.resnets.{index}", skips[-1] != width)
            if ATTENDING[settings["down_block_types"][level]]:
                yield from _transformer(f"{block}.1", f"{name}.attentions.{index}", depths[level], settings)
            skips.append(width)
        if level < len(widths) - 1:
            yield from layer(f"input_blocks.{next(numbers)}.0.op", f"{name}.downsamplers.0.conv")
            skips.append(width)


def _middle(settings: Mapping[str, Any]) -> Iterator[Pair]:
    yield from _residual("middle_block.0", "mid_block.resnets.0", False)
    yield from _transformer("middle_block.1", "mid_block.attentions.0", _depths(settings)[-1], settings)
    yield from _residual("middle_block.2", "mid_block.resnets.1", False)


def _up(settings: Mapping[str, Any], skips: list[int]) -> Iterator[Pair]:
    """Blocks on the way up; takes the skip connections back from the end."""
    widths, depths = settings["block_out_channels"][::-1], _depths(settings)[::-1]
    layers, numbers = _each(settings["layers_per_block"], len(widths))[::-1], count()
    before = widths[0]
    for level, width in enumerate(widths):
        name, attends = f"up_blocks.{level}", ATTENDING[settings["up_block_types"][level]]
        for index in range(layers[level] + 1):
            block = f"output_blocks.{next(numbers)}"
            yield from _residual(f"{block}.0", f"{name}.resnets.{index}", before + skips.pop() != width)
            if attends:
                yield from _transformer(f"{block}.1", f"{name}.attentions.{index}", depths[level], settings)
            before = width
        if level < len(widths) - 1:
            yield from layer(f"{block}.{1 + attends}.conv", f"{name}.upsamplers.0.conv")


def _residual(original: str, diffusers: str, shortcut: bool) -> Iterator[Pair]:
    for there, here in RESIDUAL.items():
        yield from layer(f"{original}.{there}", f"{diffusers}.{here}")
    if shortcut:
        yield from layer(f"{original}.skip_connection", f"{diffusers}.conv_shortcut")


def _transformer(original: str, diffusers: str, depth: int, settings: Mapping[str, Any]) -> Iterator[Pair]:
    """An attention block: its inner names, and its projections (all 1×1 convolutions or all linear), match in both."""
    names = dict.fromkeys(("norm", "proj_in", "proj_out"), True)
    within = {"norm1": True, "norm2": True, "norm3": True, "ff.net.0.proj": True, "ff.net.2": True}
    for attention in ("attn1", "attn2"):
        within |= {f"{attention}.{name}": False for name in ("to_q", "to_k", "to_v")} | {f"{attention}.to_out.0": True}
    for index in range(depth):
        names |= {f"transformer_blocks.{index}.{name}": bias for name, bias in within.items()}
    for name, bias in names.items():
        yield from layer(f"{original}.{name}", f"{diffusers}.{name}", bias=bias)


def _depths(settings: Mapping[str, Any]) -> Sequence[int]:
    return _each(settings["transformer_layers_per_block"], len(settings["block_out_channels"]))


def _each(value: int | Sequence[int], levels: int) -> Sequence[int]:
    """A setting for each level; a single number applies to all levels."""
    return (value,) * levels if isinstance(value, int) else tuple(value)
