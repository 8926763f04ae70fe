"""The transformer of Z-Image: its class, and its tensors as single files hold them (in the layout of Lumina)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from latentry_diffusers.bundle.networks import Config, Layout, Network, Shape
from latentry_diffusers.layouts.layer import layer
from latentry_diffusers.layouts.pair import Pair

PATCH = "2-1"
"""Latents along a token's sides, and along time: the only patches of the published networks."""


def z_image_pairs(config: Mapping[str, Any]) -> tuple[Pair, ...]:
    """Every tensor of diffusers' ``ZImageTransformer2DModel``.

    Args:
        config: its configuration in diffusers' keys.
    """
    pairs = [*_ends()]
    for number in range(config["n_refiner_layers"]):
        pairs += _block(f"noise_refiner.{number}", config)
        pairs += _block(f"context_refiner.{number}", config, modulated=False)
    for number in range(config["n_layers"]):
        pairs += _block(f"layers.{number}", config)
    return tuple(pairs)


def _ends() -> Iterator[Pair]:
    """The layers before the blocks and after them."""
    yield from layer("x_embedder", f"all_x_embedder.{PATCH}")
    yield from layer("final_layer.linear", f"all_final_layer.{PATCH}.linear")
    yield from layer("final_layer.adaLN_modulation.1", f"all_final_layer.{PATCH}.adaLN_modulation.1")
    for name in ("t_embedder.mlp.0", "t_embedder.mlp.2", "cap_embedder.1"):
        yield from layer(name, name)
    yield from layer("cap_embedder.0", "cap_embedder.0", bias=False)
    for name in ("x_pad_token", "cap_pad_token"):
        yield Pair(name, (name,))


def _block(name: str, config: Mapping[str, Any], *, modulated: bool = True) -> Iterator[Pair]:
    attention = f"{name}.attention"
    yield Pair(f"{attention}.qkv.weight", tuple(f"{attention}.to_{part}.weight" for part in "qkv"))
    yield from layer(f"{attention}.out", f"{attention}.to_out.0", bias=False)
    if config.get("qk_norm", True):
        for part in "qk":
            yield Pair(f"{attention}.{part}_norm.weight", (f"{attention}.norm_{part}.weight",))
    for part in ("feed_forward.w1", "feed_forward.w2", "feed_forward.w3"):
        yield from layer(f"{name}.{part}", f"{name}.{part}", bias=False)
    for part in ("attention_norm1", "attention_norm2", "ffn_norm1", "ffn_norm2"):
        yield from layer(f"{name}.{part}", f"{name}.{part}", bias=False)
    if modulated:
        yield from layer(f"{name}.adaLN_modulation.0", f"{name}.adaLN_modulation.0")


def _first(config: Config) -> Shape:
    return (config["dim"], 4 * config["in_channels"])


_EMBEDDER = f"all_x_embedder.{PATCH}.weight"
Z_IMAGE = Network(
    "diffusers:ZImageTransformer2DModel",
    _EMBEDDER,
    _first,
    (Layout(Pair("x_embedder.weight", (_EMBEDDER,)), z_image_pairs),),
)
