"""Tells which text encoder a file holds, from the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from latentry_diffusers.files.headers import Headers, alone, count, side

PREFIXES = (
    "cond_stage_model.transformer.",
    "cond_stage_model.model.",
    "conditioner.embedders.0.transformer.",
    "conditioner.embedders.0.model.",
    "conditioner.embedders.1.model.",
    "text_encoders.clip_l.transformer.",
    "text_encoders.clip_g.transformer.",
    "text_encoders.t5xxl.transformer.",
    "text_encoders.qwen3_4b.transformer.",
    "text_encoders.qwen3_8b.transformer.",
    "text_encoders.mistral3_24b.transformer.",
    "text_encoders.qwen25_7b.transformer.",
    "",
)
"""How the names of a text encoder begin, in the files of models and alone."""

PUBLISHED: Mapping[tuple[str, int, int], str] = {
    ("CLIP", 768, 12): "CLIP-L",
    ("CLIP", 1280, 32): "CLIP-G",
    ("CLIP", 1024, 23): "OpenCLIP-H",
    ("CLIP", 1024, 24): "OpenCLIP-H",
    ("T5", 4096, 24): "T5-XXL",
    ("Qwen3", 2560, 36): "Qwen3-4B",
    ("Qwen3", 4096, 36): "Qwen3-8B",
    ("Mistral", 5120, 40): "Mistral Small",
    ("Mistral", 3584, 28): "Qwen2.5-VL-7B",
}
"""Published encoders by architecture, width and number of layers."""


class TextEncoder(NamedTuple):
    """A text encoder in a file.

    Attributes:
        architecture: ``CLIP``, ``T5``, ``Qwen3``, or ``Mistral`` for its like.
        width: of its states.
        layers: how many it has.
        name: of the published encoder with this shape; None where there is none.
    """

    architecture: str
    width: int
    layers: int
    name: str | None


class _Layout(NamedTuple):
    architecture: str
    embedding: str
    layer: str
    common: bool = False
    """Many language models have it: only a published text encoder is told by it."""


LAYOUTS = (
    _Layout("CLIP", "text_model.embeddings.token_embedding.weight", "text_model.encoder.layers.{}.mlp.fc1.weight"),
    _Layout("CLIP", "embeddings.token_embedding.weight", "encoder.layers.{}.mlp.fc1.weight"),
    _Layout("CLIP", "token_embedding.weight", "transformer.resblocks.{}.mlp.c_fc.weight"),
    _Layout("T5", "shared.weight", "encoder.block.{}.layer.0.SelfAttention.q.weight"),
    _Layout("T5", "encoder.embed_tokens.weight", "encoder.block.{}.layer.0.SelfAttention.q.weight"),
    _Layout("T5", "token_embd.weight", "enc.blk.{}.attn_q.weight"),
    _Layout("Qwen3", "model.embed_tokens.weight", "model.layers.{}.self_attn.q_norm.weight"),
    _Layout("Qwen3", "embed_tokens.weight", "layers.{}.self_attn.q_norm.weight"),
    _Layout("Qwen3", "token_embd.weight", "blk.{}.attn_q_norm.weight"),
    *(
        _Layout("Mistral", f"{root}embed_tokens.weight", f"{root}layers.{{}}.self_attn.q_proj.weight", common=True)
        for root in ("model.", "", "model.language_model.", "language_model.model.")
    ),
    _Layout("Mistral", "token_embd.weight", "blk.{}.attn_q.weight", common=True),
)
"""Layouts of CLIP (two of transformers, OpenCLIP's), T5 and language models (transformers', llama.cpp's)."""


def text_encoder(tensors: Headers) -> TextEncoder | None:
    """The text encoder in a file that holds nothing else; None where it is another file."""
    bare = alone(tensors, PREFIXES)
    for architecture, embedding, layer, common in LAYOUTS:
        width, layers = side(bare, embedding, 1), count(bare, layer.format)
        if width is not None and layers:
            name = PUBLISHED.get((architecture, width, layers))
            if name is not None or not common:
                return TextEncoder(architecture, width, layers, name)
    return None
