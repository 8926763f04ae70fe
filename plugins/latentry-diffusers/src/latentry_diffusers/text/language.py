"""Encodes prompts with language models: hidden states of a prompt within the turns of a conversation."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from latentry.models import Conditioning

log = logging.getLogger("latentry.text")


class Turns(NamedTuple):
    """The text around a prompt, with the tokens that mark the turns of a conversation."""

    before: str
    after: str


class Read(NamedTuple):
    """Hidden states of prompts.

    Attributes:
        states: (prompts, tokens, width), shorter ones padded with zeros; those of several layers are side by side.
        tokens: how many tokens each prompt has, (prompts,), on the CPU: to read them waits for no device.
    """

    states: Tensor
    tokens: Tensor

    def tensors(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """``text`` in a dtype and ``tokens``, for a ``Conditioning``; ``split`` takes them apart."""
        return {"text": self.states.to(dtype), "tokens": self.tokens}


def split(conditioning: Conditioning) -> list[Tensor]:
    """The states of each prompt without padding, (tokens, width)."""
    both = zip(conditioning["text"], conditioning["tokens"].tolist(), strict=True)
    return [states[:count] for states, count in both]


@torch.no_grad()
def read_prompts(
    encoder: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    turns: Turns,
    *,
    layers: Sequence[int],
    length: int,
    multiple: int = 1,
    leave_out: int = 0,
) -> Read:
    """The states of each prompt's own tokens and of those around it, at some layers.

    Each prompt goes through the encoder alone, without padding, so that its states depend on nothing else. The text is
    taken as it is, brackets included. What does not fit is ignored, with a warning.

    Args:
        encoder: transformers' language model, without its head.
        tokenizer: its tokenizer.
        prompts: at least one.
        turns: what is around each.
        layers: numbers of hidden states; 0 is the embeddings, −1 the last, which is normed.
        length: the most tokens, those around the prompt included; fewer where the tokenizer says so.
        leave_out: how many of the first tokens are read, but their states not given.
        multiple: the states are padded to a multiple of it, so that prompts of about one length share a batch.
    """
    rows = [tokens_of(tokenizer, prompt, turns, length) for prompt in prompts]
    read = (run(encoder, torch.tensor([row], device=encoder.device), layers)[0] for row in rows)
    states = [each[leave_out:] for each in read]
    most = -(-max(map(len, states)) // multiple) * multiple
    padded = [pad(each, (0, 0, 0, most - len(each))) for each in states]
    return Read(torch.stack(padded), torch.tensor([len(each) for each in states]))


@torch.no_grad()
def read_window(
    encoder: Any, tokenizer: Any, prompts: Sequence[str], turns: Turns, *, layers: Sequence[int], length: int
) -> Tensor:
    """As ``read_prompts``, each prompt filled up to ``length`` with padding, whose states are given too.

    Padding is on the tokenizer's side of the prompt, and is not seen by it.
    """
    length = min(length, tokenizer.model_max_length)
    rows = [tokens_of(tokenizer, prompt, turns, length) for prompt in prompts]
    on_the_left = tokenizer.padding_side == "left"

    def filled(row: list[int], with_: int) -> list[int]:
        padding = [with_] * (length - len(row))
        return padding + row if on_the_left else row + padding

    ids = torch.tensor([filled(row, tokenizer.pad_token_id) for row in rows], device=encoder.device)
    real = torch.tensor([filled([1] * len(row), 0) for row in rows], device=encoder.device)
    return run(encoder, ids, layers, real)


def tokens_of(tokenizer: Any, prompt: str, turns: Turns, length: int) -> list[int]:
    """The tokens of a prompt within its turns, at most ``length``; warns where some are left out."""
    length = min(length, tokenizer.model_max_length)
    options = {"add_special_tokens": False, "verbose": False}
    ids: list[int] = tokenizer(turns.before + prompt + turns.after, **options).input_ids
    if len(ids) > length:
        before, after = (len(tokenizer(text, **options).input_ids) for text in turns)
        own, kept = len(ids) - before - after, length - before
        log.warning("the prompt has %d tokens; all after the first %d are ignored: %r", own, min(own, kept), prompt)
    return ids[:length]


def run(encoder: Any, ids: Tensor, layers: Sequence[int], real: Tensor | None = None) -> Tensor:
    """Hidden states (rows, tokens, layers · width) of token ids (rows, tokens)."""
    out = encoder(input_ids=ids, attention_mask=real, output_hidden_states=True, use_cache=False)
    return torch.cat([out.hidden_states[layer] for layer in layers], dim=-1)
