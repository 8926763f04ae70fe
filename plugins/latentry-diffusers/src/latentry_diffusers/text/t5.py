"""Encodes prompts with T5, in one window of a fixed length, with emphasis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from latentry_diffusers.text.clip import Token, emphasised, tokenize, warn_if_truncated


@torch.no_grad()
def encode_t5(encoder: Any, tokenizer: Any, prompts: Sequence[str], *, length: int) -> Tensor:
    """The last hidden states of prompts (prompts, tokens, width), with emphasis as in ``encode_clip``.

    Every prompt fills one window. Padding is attended to, as in the training of SD3 and FLUX.1. What does not fit is
    ignored, with a warning.

    Args:
        encoder: transformers' ``T5EncoderModel``.
        tokenizer: its ``T5Tokenizer``.
        prompts: at least one.
        length: tokens of the window including its end token; fewer where the tokenizer says so.
    """
    room = min(length, tokenizer.model_max_length) - 1
    warn_if_truncated(tokenizer, prompts, room)
    rows = [_window(tokenizer, tokenize(tokenizer, prompt)[:room], room) for prompt in prompts]
    return emphasised(_run(encoder, rows), rows, lambda: _run(encoder, [_window(tokenizer, [], room)]))


def _window(tokenizer: Any, tokens: list[Token], room: int) -> list[Token]:
    padding = [Token(tokenizer.pad_token_id, real=False)] * (room - len(tokens))
    return [*tokens, Token(tokenizer.eos_token_id), *padding]


def _run(encoder: Any, rows: Sequence[Sequence[Token]]) -> Tensor:
    ids = torch.tensor([[token.id for token in row] for row in rows], device=encoder.device)
    states: Tensor = encoder(ids, return_dict=False)[0]
    return states
