"""The transformer of Stable Diffusion 3 and 3.5 as Stability published it (Esser et al. 2024, arXiv:2403.03206)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from latentry_diffusers.layouts.layer import layer
from latentry_diffusers.layouts.pair import Form, Pair
from latentry_diffusers.layouts.stack import stack


def sd3_pairs(config: Mapping[str, Any]) -> tuple[Pair, ...]:
    """Every tensor of diffusers' ``SD3Transformer2DModel``, positions included.

    Args:
        config: its configuration in diffusers' keys.
    """
    last = config["num_layers"] - 1
    dual = set(config.get("dual_attention_layers") or ())
    normed = config.get("qk_norm") is not None
    pairs = [*_ends()]
    for number in range(last + 1):
        pairs += _picture(number, dual=number in dual, normed=normed)
        pairs += _text(number, final=number == last, normed=normed)
    return tuple(pairs)


def _ends() -> Iterator[Pair]:
    """The layers before the blocks and after them."""
    yield Pair("pos_embed", ("pos_embed.pos_embed",))
    yield from layer("x_embedder.proj", "pos_embed.proj")
    yield from layer("context_embedder", "context_embedder")
    for original, name in (("t_embedder", "timestep_embedder"), ("y_embedder", "text_embedder")):
        yield from layer(f"{original}.mlp.0", f"time_text_embed.{name}.linear_1")
        yield from layer(f"{original}.mlp.2", f"time_text_embed.{name}.linear_2")
    yield from layer("final_layer.linear", "proj_out")
    yield from layer("final_layer.adaLN_modulation.1", "norm_out.linear", "halves")


def _picture(number: int, *, dual: bool, normed: bool) -> Iterator[Pair]:
    """What a block does with the picture; nine modulations in the order of diffusers where it attends twice."""
    old, new = f"joint_blocks.{number}.x_block", f"transformer_blocks.{number}"
    yield from layer(f"{old}.adaLN_modulation.1", f"{new}.norm1.linear")
    for name in ("attn", "attn2") if dual else ("attn",):
        yield from stack(f"{old}.{name}.qkv", [f"{new}.{name}.to_{part}" for part in "qkv"])
        yield from layer(f"{old}.{name}.proj", f"{new}.{name}.to_out.0")
        if normed:
            for part in "qk":
                yield Pair(f"{old}.{name}.ln_{part}.weight", (f"{new}.{name}.norm_{part}.weight",))
    yield from _mlp(f"{old}.mlp", f"{new}.ff")


def _text(number: int, *, final: bool, normed: bool) -> Iterator[Pair]:
    """What a block does with the text; the last one only attends to it, and has shift before scale."""
    old, new = f"joint_blocks.{number}.context_block", f"transformer_blocks.{number}"
    form: Form = "halves" if final else "same"
    yield from layer(f"{old}.adaLN_modulation.1", f"{new}.norm1_context.linear", form)
    yield from stack(f"{old}.attn.qkv", [f"{new}.attn.add_{part}_proj" for part in "qkv"])
    if normed:
        for part in "qk":
            yield Pair(f"{old}.attn.ln_{part}.weight", (f"{new}.attn.norm_added_{part}.weight",))
    if not final:
        yield from layer(f"{old}.attn.proj", f"{new}.attn.to_add_out")
        yield from _mlp(f"{old}.mlp", f"{new}.ff_context")


def _mlp(old: str, new: str) -> Iterator[Pair]:
    yield from layer(f"{old}.fc1", f"{new}.net.0.proj")
    yield from layer(f"{old}.fc2", f"{new}.net.2")
