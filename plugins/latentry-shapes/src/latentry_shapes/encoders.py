"""The untrained text encoders, in transformers' own classes, and their tokenizers."""

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
"""Tokens of a caption, padding included."""


class States(NamedTuple):
    """What a text encoder makes of captions: (batch, TOKENS, width), and where it sums them up (batch, width).

    ``pooled`` is CLIP's summary, ``projected`` what its projection makes of it.
    """

    tokens: Tensor
    pooled: Tensor | None = None
    projected: Tensor | None = None


@dataclass(frozen=True)
class TextEncoder:
    """One text encoder: how it is built, spelt for and read.

    Attributes:
        build: the untrained network.
        tokenizer: the same ids every time.
        read: the states a denoiser is told, from token ids (batch, TOKENS).
        back_only: a state knows of what stands before it, and of nothing behind.
    """

    build: Callable[[], nn.Module]
    tokenizer: Callable[[], Any]
    read: Callable[[Any, Tensor], States]
    back_only: bool = True

    def ids(self, captions: Sequence[str]) -> Tensor:
        """Token ids (batch, TOKENS)."""
        ids: Tensor = self.tokenizer()(list(captions), padding="max_length", return_tensors="pt").input_ids
        return ids


def clip_tokenizer() -> CLIPTokenizer:
    """A CLIP tokenizer over the caption vocabulary."""
    ids, merges = byte_pairs(words())
    return CLIPTokenizer(vocab=ids, merges=merges, model_max_length=TOKENS)


def t5_tokenizer() -> T5Tokenizer:
    """A T5 tokenizer over the caption vocabulary, which spells other words."""
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
    """As Stable Diffusion 1.5 reads CLIP."""
    return States(encoder(ids).last_hidden_state)


def _penultimate(encoder: CLIPTextModelWithProjection, ids: Tensor) -> States:
    """As SDXL and SD3 read CLIP."""
    out = encoder.text_model(ids, output_hidden_states=True)
    return States(out.hidden_states[-2], out.pooler_output, encoder.text_projection(out.pooler_output))


def without_projection(encoder: CLIPTextModelWithProjection) -> CLIPTextModel:
    """The same text encoder as SDXL and FLUX have it."""
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
        "t5": TextEncoder(_t5, t5_tokenizer, _t5_states, back_only=False),
    }
)
"""By name: Stable Diffusion's, the two of SDXL and SD3 (of which FLUX has the first), and the third of SD3 and FLUX."""
