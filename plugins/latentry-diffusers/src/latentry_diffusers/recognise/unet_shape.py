"""The shape of a Stable Diffusion UNet, from the headers of a file or from a configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from latentry_diffusers.files.headers import PREFIXES, Headers, count, side


class UNetShape(NamedTuple):
    """What tells the UNets of Stable Diffusion apart.

    Attributes:
        channels: of the input.
        widths: by level.
        layers: residual blocks, by level.
        depths: transformer layers of an attention block, by level; 0 where a level has none.
        text: width of the text states.
        linear: whether attention blocks begin with a linear layer rather than with a 1×1 convolution.
        added: width of the embedding of pooled text and sizes; None without one.
    """

    channels: int
    widths: tuple[int, ...]
    layers: tuple[int, ...]
    depths: tuple[int, ...]
    text: int
    linear: bool
    added: int | None


class UNetInFile(NamedTuple):
    """A UNet in a file.

    Attributes:
        prefix: how the names of its tensors begin.
        original: whether they are those of the original layout rather than diffusers'.
        shape: of the network.
    """

    prefix: str
    original: bool
    shape: UNetShape

    @property
    def sentences(self) -> tuple[str, str]:
        """Sentences of evidence for the UNet."""
        return (
            f"it holds a UNet in {'the original' if self.original else 'the diffusers'} layout",
            f"the UNet takes {self.shape.channels} channels and text states of width {self.shape.text}",
        )


class _Layer(NamedTuple):
    """A residual block on the way down and the attention after it, by how the names of their tensors begin."""

    width: str
    attention: str


class _Layout(NamedTuple):
    """The names in a layout that tell the shape."""

    conv_in: str
    added: str
    levels: Callable[[Headers, str], list[list[_Layer]]]


def find_unet(tensors: Headers) -> UNetInFile | None:
    """The UNet among the tensors of a file, in the original layout or in diffusers'; None where there is none."""
    for prefix in PREFIXES:
        for original, layout in ((True, ORIGINAL), (False, DIFFUSERS)):
            if (shape := _shape(tensors, prefix, layout)) is not None:
                return UNetInFile(prefix, original, shape)
    return None


def shape_of(config: Mapping[str, Any]) -> UNetShape:
    """The shape that a published configuration of ``UNet2DConditionModel`` describes."""
    widths = tuple(config["block_out_channels"])
    depths = config.get("transformer_layers_per_block", 1)
    depths = (depths,) * len(widths) if isinstance(depths, int) else depths
    attends = ["CrossAttn" in block for block in config["down_block_types"]]
    return UNetShape(
        channels=config["in_channels"],
        widths=widths,
        layers=(config.get("layers_per_block", 2),) * len(widths),
        depths=tuple(depth if attending else 0 for depth, attending in zip(depths, attends, strict=True)),
        text=config["cross_attention_dim"],
        linear=bool(config.get("use_linear_projection", False)),
        added=config.get("projection_class_embeddings_input_dim"),
    )


def as_published(shape: UNetShape, published: Iterable[UNetShape]) -> UNetShape:
    """The published shape that a UNet in a GGUF file has, else its own.

    GGUF files may hold linear layers as 1×1 convolutions and the reverse: dimensions of 1 do not matter there.
    """
    other = shape._replace(linear=not shape.linear)
    known = set(published)
    return other if shape not in known and other in known else shape


def _shape(tensors: Headers, prefix: str, layout: _Layout) -> UNetShape | None:
    channels = side(tensors, f"{prefix}{layout.conv_in}", 1)
    levels = layout.levels(tensors, prefix) if channels is not None else []
    attentions = [layer.attention for level in levels for layer in level]
    first = next((name for name in attentions if f"{name}.transformer_blocks.0.attn2.to_k.weight" in tensors), None)
    if channels is None or first is None or not all(levels):
        return None
    return UNetShape(
        channels=channels,
        widths=tuple(side(tensors, level[-1].width, 0) or 0 for level in levels),
        layers=tuple(len(level) for level in levels),
        depths=tuple(_depth(tensors, level[0].attention) for level in levels),
        text=side(tensors, f"{first}.transformer_blocks.0.attn2.to_k.weight", 1) or 0,
        linear=side(tensors, f"{first}.proj_in.weight", 2) is None,
        added=side(tensors, f"{prefix}{layout.added}", 1),
    )


def _depth(tensors: Headers, attention: str) -> int:
    return count(tensors, lambda number: f"{attention}.transformer_blocks.{number}.attn2.to_k.weight")


def _original_levels(tensors: Headers, prefix: str) -> list[list[_Layer]]:
    """The blocks are numbered consecutively; one that changes the resolution ends a level."""
    levels: list[list[_Layer]] = [[]]
    for number in range(1, len(tensors)):
        block = f"{prefix}input_blocks.{number}"
        if f"{block}.0.op.weight" in tensors:
            levels.append([])
        elif f"{block}.0.out_layers.3.weight" in tensors:
            levels[-1].append(_Layer(f"{block}.0.out_layers.3.weight", f"{block}.1"))
        else:
            break
    return levels


def _diffusers_levels(tensors: Headers, prefix: str) -> list[list[_Layer]]:
    """Levels and their layers are numbered; a residual block and its attention share their numbers."""

    def width(level: int, number: int) -> str:
        return f"{prefix}down_blocks.{level}.resnets.{number}.conv2.weight"

    depth = count(tensors, lambda level: width(level, 0))
    return [
        [
            _Layer(width(level, number), f"{prefix}down_blocks.{level}.attentions.{number}")
            for number in range(count(tensors, partial(width, level)))
        ]
        for level in range(depth)
    ]


ORIGINAL = _Layout("input_blocks.0.0.weight", "label_emb.0.0.weight", _original_levels)
DIFFUSERS = _Layout("conv_in.weight", "add_embedding.linear_1.weight", _diffusers_levels)
