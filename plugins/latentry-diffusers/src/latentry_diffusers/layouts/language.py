"""Decoders of Llama's kind (Qwen, Mistral) under their names in transformers, and under those of llama.cpp."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from latentry_diffusers.layouts.pair import Pair

LAYERS: Mapping[str, str] = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_norm": "input_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "ffn_norm": "post_attention_layernorm",
}
"""llama.cpp's and transformers' names of the weights that every layer has."""
NORMS: Mapping[str, str] = {"attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}
"""Those of the norms of queries and keys, which Qwen3 has."""
BIASED = ("attn_q", "attn_k", "attn_v")
"""The layers that have a bias in Qwen2."""


def language_pairs(config: Mapping[str, Any]) -> tuple[Pair, ...]:
    """Every tensor of transformers' ``Qwen3Model``, ``Qwen2Model`` or ``MistralModel``, by ``model_type``.

    Args:
        config: its configuration in transformers' keys.
    """
    return tuple(Pair(name, (name,)) for _, name in _tensors(config))


def language_single_pairs(config: Mapping[str, Any], root: str = "model.") -> tuple[Pair, ...]:
    """The same in published files, which begin every name as those of a larger model.

    Args:
        config: its configuration in transformers' keys.
        root: how names begin: in a model with a head, or in one that also sees.
    """
    return tuple(Pair(f"{root}{name}", (name,)) for _, name in _tensors(config))


def language_gguf_pairs(config: Mapping[str, Any]) -> tuple[Pair, ...]:
    """The tensors of ``language_pairs`` as llama.cpp's converter names them, and orders Mistral's queries and keys.

    It takes Mistral for a Llama, whose rotary embeddings turn neighbouring rows there, and row i with row i + size / 2
    of a head in transformers.

    Args:
        config: its configuration in transformers' keys.
    """
    heads = {}
    if config["model_type"] == "mistral":
        heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    return tuple(_gguf_pair(theirs, name, heads) for theirs, name in _tensors(config))


def _gguf_pair(theirs: str, name: str, heads: Mapping[str, int]) -> Pair:
    count = heads.get(theirs.split(".")[-2])
    return Pair(theirs, (name,)) if count is None else Pair(theirs, (name,), "interleaved", heads=count)


def _tensors(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields llama.cpp's and transformers' name of every tensor."""
    kind = str(config["model_type"])
    layers = {**LAYERS, **NORMS} if kind.startswith("qwen3") else LAYERS
    yield "token_embd.weight", "embed_tokens.weight"
    for number in range(config["num_hidden_layers"]):
        for theirs, name in layers.items():
            yield f"blk.{number}.{theirs}.weight", f"layers.{number}.{name}.weight"
            if kind.startswith("qwen2") and theirs in BIASED:
                yield f"blk.{number}.{theirs}.bias", f"layers.{number}.{name}.bias"
    yield "output_norm.weight", "norm.weight"
