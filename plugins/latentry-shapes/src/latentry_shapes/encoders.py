"""The text encoders with random weights, as transformers' own classes, and their tokenizers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import Tensor, nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from latentry_shapes._vocabulary import byte_pairs
from latentry_shapes.scenes import words

TOKENS = 24
"""Tokens in a caption, padding included."""


class States(NamedTuple):
    """The output of a text encoder for captions.

    Attributes:
        tokens: hidden states, (batch, TOKENS, width).
        pooled: CLIP's pooled state, (batch, width); None for T5.
        projected: the pooled state after CLIP's projection, (batch, width); None if that is not used.
    """

    tokens: Tensor
    pooled: Tensor | None = None
    projected: Tensor | None = None


@dataclass(frozen=True)
class TextEncoder:
    """One kind of text encoder.

    Attributes:
        build: makes the network with random weights.
        tokenizer: makes its tokenizer, always with the same ids.
        encode: computes the states that a denoiser gets, from the network and token ids (batch, TOKENS).
        causal: whether a state depends only on the tokens up to its own.
    """

    build: Callable[[], nn.Module]
    tokenizer: Callable[[], Any]
    encode: Callable[[Any, Tensor], States]
    causal: bool = True

    def ids(self, captions: Sequence[str]) -> Tensor:
        """Token ids (batch, TOKENS)."""
        ids: Tensor = self.tokenizer()(list(captions), padding="max_length", return_tensors="pt").input_ids
        return ids


def clip_tokenizer() -> CLIPTokenizer:
    """A CLIP tokenizer over the caption vocabulary."""
    ids, merges = byte_pairs(words())
    return CLIPTokenizer(vocab=ids, merges=merges, model_max_length=TOKENS)


def t5_tokenizer() -> T5Tokenizer:
    """A T5 tokenizer over the caption vocabulary; it spells other words letter by letter."""
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    known = [(f"▁{word}", -1.0) for word in words()]
    letters = [(letter, -9.0) for letter in "▁abcdefghijklmnopqrstuvwxyz"]
    return T5Tokenizer(vocab=special + known + letters, extra_ids=0, model_max_length=TOKENS)


def _clip_config(width: int, layers: int) -> CLIPTextConfig:
    vocabulary = len(clip_tokenizer())
    return CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
        projection_dim=width,
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
        pad_token_id=vocabulary - 1,
    )


def _t5() -> T5EncoderModel:
    return T5EncoderModel(
        T5Config(
            vocab_size=len(t5_tokenizer()),
            d_model=128,
            d_kv=32,
            d_ff=128,
            num_layers=2,
            num_heads=4,
            feed_forward_proj="gated-gelu",
            is_encoder_decoder=False,
            use_cache=False,
            pad_token_id=0,
            eos_token_id=1,
        )
    )


def _last(encoder: CLIPTextModel, ids: Tensor) -> States:
    """The last hidden states, as in Stable Diffusion 1.5."""
    return States(encoder(ids).last_hidden_state)


def _penultimate(encoder: CLIPTextModelWithProjection, ids: Tensor) -> States:
    """The last hidden states but one and the pooled states, as in SDXL and SD3."""
    out = encoder.text_model(ids, output_hidden_states=True)
    return States(out.hidden_states[-2], out.pooler_output, encoder.text_projection(out.pooler_output))


def without_projection(encoder: CLIPTextModelWithProjection) -> CLIPTextModel:
    """The same text encoder without its projection, as in SDXL and FLUX."""
    bare = CLIPTextModel(encoder.config)
    bare.load_state_dict(encoder.text_model.state_dict())
    return bare


def _t5_states(encoder: T5EncoderModel, ids: Tensor) -> States:
    return States(encoder(ids).last_hidden_state)


def _projected() -> CLIPTextModelWithProjection:
    return CLIPTextModelWithProjection(_clip_config(64, 3))


TEXT_ENCODERS: Mapping[str, TextEncoder] = MappingProxyType(
    {
        "clip": TextEncoder(lambda: CLIPTextModel(_clip_config(96, 3)), clip_tokenizer, _last),
        "clip-l": TextEncoder(_projected, clip_tokenizer, _penultimate),
        "clip-g": TextEncoder(_projected, clip_tokenizer, _penultimate),
        "t5": TextEncoder(_t5, t5_tokenizer, _t5_states, causal=False),
    }
)
"""``clip`` is used by Stable Diffusion, ``clip-l`` by SDXL, SD3 and FLUX, ``clip-g`` by SDXL and SD3, ``t5`` by SD3 and
FLUX.
"""
