"""T5's encoder under its names in transformers, as single files hold it, and under those of llama.cpp."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from latentry_diffusers.layouts.pair import Pair


def t5_pairs(config: Mapping[str, Any]) -> tuple[Pair, ...]:
    """Every tensor of transformers' ``T5EncoderModel`` but ``encoder.embed_tokens``, which is ``shared`` again.

    Args:
        config: its configuration in transformers' keys.
    """
    return tuple(Pair(name, (name,)) for _, name in _tensors(config))


def t5_single_pairs(config: Mapping[str, Any]) -> tuple[Pair, ...]:
    """The pairs for a published file; ``encoder.embed_tokens`` is included, since some readers look for that name.

    Args:
        config: its configuration in transformers' keys.
    """
    return (*t5_pairs(config), Pair("encoder.embed_tokens.weight", ("shared.weight",)))


def t5_gguf_pairs(config: Mapping[str, Any]) -> tuple[Pair, ...]:
    """The tensors of ``t5_pairs`` as llama.cpp's converter names them, architecture ``t5encoder``.

    Args:
        config: its configuration in transformers' keys.
    """
    return tuple(Pair(theirs, (name,)) for theirs, name in _tensors(config))


def _tensors(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields llama.cpp's and transformers' name of every tensor."""
    yield "token_embd.weight", "shared.weight"
    gated = str(config.get("feed_forward_proj", "relu")).startswith("gated")
    for number in range(config["num_layers"]):
        old, new = f"enc.blk.{number}", f"encoder.block.{number}.layer"
        for part in "qkvo":
            yield f"{old}.attn_{part}.weight", f"{new}.0.SelfAttention.{part}.weight"
        if number == 0:  # the later blocks take its bias
            yield f"{old}.attn_rel_b.weight", f"{new}.0.SelfAttention.relative_attention_bias.weight"
        yield f"{old}.attn_norm.weight", f"{new}.0.layer_norm.weight"
        if gated:
            yield f"{old}.ffn_gate.weight", f"{new}.1.DenseReluDense.wi_0.weight"
        yield f"{old}.ffn_up.weight", f"{new}.1.DenseReluDense.{'wi_1' if gated else 'wi'}.weight"
        yield f"{old}.ffn_down.weight", f"{new}.1.DenseReluDense.wo.weight"
        yield f"{old}.ffn_norm.weight", f"{new}.1.layer_norm.weight"
    yield "enc.output_norm.weight", "encoder.final_layer_norm.weight"
