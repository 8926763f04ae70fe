"""The autoencoder of Qwen-Image under the names of the file that it comes from, Wan's autoencoder for video."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count, pairwise
from typing import Any

from latentry_diffusers.layouts.layer import layer
from latentry_diffusers.layouts.pair import Pair


def qwen_image_vae_pairs(config: Mapping[str, Any]) -> tuple[Pair, ...]:
    """Every tensor of diffusers' ``AutoencoderKLQwenImage``.

    Args:
        config: its configuration in diffusers' keys.
    """
    pairs = [*layer("conv1", "quant_conv"), *layer("conv2", "post_quant_conv")]
    for half in ("encoder", "decoder"):
        pairs += layer(f"{half}.conv1", f"{half}.conv_in")
        pairs += _resnet(f"{half}.middle.0", f"{half}.mid_block.resnets.0")
        pairs += _attention(f"{half}.middle.1", f"{half}.mid_block.attentions.0")
        pairs += _resnet(f"{half}.middle.2", f"{half}.mid_block.resnets.1")
        pairs.append(Pair(f"{half}.head.0.gamma", (f"{half}.norm_out.gamma",)))
        pairs += layer(f"{half}.head.2", f"{half}.conv_out")
    return (*pairs, *_down(config), *_up(config))


def _down(config: Mapping[str, Any]) -> Iterator[Pair]:
    """diffusers numbers resnets and samplers of the encoder in one row, as the file does."""
    multiples, places = config["dim_mult"], count()
    for level, (before, after) in enumerate(pairwise([1, *multiples])):
        for number in range(config["num_res_blocks"]):
            at = next(places)
            widens = number == 0 and before != after
            yield from _resnet(f"encoder.downsamples.{at}", f"encoder.down_blocks.{at}", widens=widens)
        if level < len(multiples) - 1:
            at, in_time = next(places), config["temperal_downsample"][level]
            yield from _sampler(f"encoder.downsamples.{at}", f"encoder.down_blocks.{at}", in_time=in_time)


def _up(config: Mapping[str, Any]) -> Iterator[Pair]:
    """Each level has a resnet more than the encoder's, and its sampler halves the width."""
    multiples, places = config["dim_mult"][::-1], count()
    for level, (before, after) in enumerate(pairwise([multiples[0], *multiples])):
        width = before / 2 if level else before
        for number in range(config["num_res_blocks"] + 1):
            name = f"decoder.up_blocks.{level}.resnets.{number}"
            yield from _resnet(f"decoder.upsamples.{next(places)}", name, widens=number == 0 and width != after)
        if level < len(multiples) - 1:
            in_time = config["temperal_downsample"][::-1][level]
            name = f"decoder.up_blocks.{level}.upsamplers.0"
            yield from _sampler(f"decoder.upsamples.{next(places)}", name, in_time=in_time)


def _resnet(original: str, name: str, *, widens: bool = False) -> Iterator[Pair]:
    for number, part in ((0, "norm1"), (3, "norm2")):
        yield Pair(f"{original}.residual.{number}.gamma", (f"{name}.{part}.gamma",))
    for number, part in ((2, "conv1"), (6, "conv2")):
        yield from layer(f"{original}.residual.{number}", f"{name}.{part}")
    if widens:
        yield from layer(f"{original}.shortcut", f"{name}.conv_shortcut")


def _attention(original: str, name: str) -> Iterator[Pair]:
    yield Pair(f"{original}.norm.gamma", (f"{name}.norm.gamma",))
    for part in ("to_qkv", "proj"):
        yield from layer(f"{original}.{part}", f"{name}.{part}")


def _sampler(original: str, name: str, *, in_time: bool) -> Iterator[Pair]:
    for part in ("resample.1", "time_conv") if in_time else ("resample.1",):
        yield from layer(f"{original}.{part}", f"{name}.{part}")
