"""Encodes prompts with CLIP, with windows for long prompts, emphasis and clip skip."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from latentry import OptionError
from latentry.models import parse_emphasis, split_at_names
from latentry_diffusers.text.embeddings import with_vectors

log = logging.getLogger("latentry.text")
NONE: Mapping[str, Tensor] = MappingProxyType({})


class Token(NamedTuple):
    """An id, its emphasis, whether it belongs to the prompt or is padding, and a vector in place of the id's own."""

    id: int
    weight: float = 1.0
    real: bool = True
    vector: Tensor | None = None


@dataclass(frozen=True)
class Encoded:
    """The output of a CLIP text encoder.

    Attributes:
        states: hidden states (prompts, windows · tokens of a window, width), emphasis applied.
        pooled: (prompts, width): the summary of each prompt's first window, without emphasis; the projection where
            the encoder has one.
    """

    states: Tensor
    pooled: Tensor


@torch.no_grad()
def encode_clip(
    encoder: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    skip: int = 0,
    normed: bool = True,
    windows: int | None = None,
    learnt: Mapping[str, Tensor] = NONE,
) -> Encoded:
    """The hidden states of prompts at a layer of CLIP, and their summaries.

    A prompt of more tokens than the encoder takes goes through in several windows, each with its own start and end
    token, and their states are concatenated. Shorter prompts of the same call are padded with windows of the empty
    prompt. Emphasis (see ``latentry.models.parse_emphasis``) moves a token's state s away from e, the state
    that the empty prompt has in that place: e + w·(s − e), which is ComfyUI's convention. Without emphasis the states
    are CLIP's own.

    Args:
        encoder: transformers' ``CLIPTextModel`` or ``CLIPTextModelWithProjection``.
        tokenizer: its ``CLIPTokenizer``.
        prompts: at least one.
        skip: how many of the last layers are left out; 1 gives the penultimate layer.
        normed: apply the final layer norm, whatever the layer.
        windows: maximum number of windows; the rest of a longer prompt is left out. None for any number.
        learnt: vectors (tokens, width) of words, which take the places of those words' tokens.

    Raises:
        OptionError: no layer would remain.
    """
    layers = encoder.config.num_hidden_layers
    if skip >= layers:
        raise OptionError(
            f"{skip} layers of this text encoder cannot be left out.",
            why=f"It has {layers}, and one must remain.",
            remedy="Use a lower clip_skip.",
        )
    frame = _Frame.of(encoder, tokenizer)
    needed = [frame.windows(tokenize(tokenizer, prompt, learnt))[:windows] for prompt in prompts]
    most = max(map(len, needed))
    rows = [window for each in needed for window in (*each, *[frame.window(())] * (most - len(each)))]
    states, pooled = _run(encoder, rows, skip, normed)
    states = emphasised(states, rows, lambda: _run(encoder, [frame.window(())], skip, normed)[0])
    return Encoded(states.reshape(len(prompts), -1, states.shape[-1]), pooled[::most])


@dataclass(frozen=True)
class _Frame:
    """The layout of a window: its length, its start and end tokens, and the padding token."""

    length: int
    begin: int
    end: int
    fill: int

    @classmethod
    def of(cls, encoder: Any, tokenizer: Any) -> _Frame:
        length = min(tokenizer.model_max_length, encoder.config.max_position_embeddings)
        return cls(length, tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)

    def windows(self, tokens: Sequence[Token]) -> list[list[Token]]:
        """Splits a prompt into windows, at least one."""
        room = self.length - 2
        return [self.window(tokens[i : i + room]) for i in range(0, max(len(tokens), 1), room)]

    def window(self, tokens: Iterable[Token]) -> list[Token]:
        """Makes one window."""
        framed = [Token(self.begin), *tokens, Token(self.end)]
        return framed + [Token(self.fill, real=False)] * (self.length - len(framed))


def tokenize(tokenizer: Any, prompt: str, learnt: Mapping[str, Tensor] = NONE) -> list[Token]:
    """A prompt's own tokens; truncating or padding here would change the tokenizer, which threads share.

    Learnt words have the id of the start token: CLIP looks for the end token by its id, which is the highest in some.
    """
    return [
        token
        for text, weight in parse_emphasis(prompt)
        for piece, name in split_at_names(text, learnt)
        for token in (
            [Token(number, weight) for number in tokenizer(piece, add_special_tokens=False, verbose=False).input_ids]
            if name is None
            else [Token(tokenizer.bos_token_id, weight, vector=vector) for vector in learnt[name]]
        )
    ]


def warn_if_truncated(tokenizer: Any, prompts: Sequence[str], room: int) -> None:
    """Warns, once for each prompt, that tokens beyond ``room`` are ignored."""
    for prompt in dict.fromkeys(prompts):
        if (length := len(tokenize(tokenizer, prompt))) > room:
            log.warning("the prompt has %d tokens; all after the first %d are ignored: %r", length, room, prompt)


def emphasised(states: Tensor, rows: Sequence[Sequence[Token]], empty: Callable[[], Tensor]) -> Tensor:
    """States s (rows, tokens, width) moved to e + w·(s − e), with e (1, tokens, width) those of the empty prompt."""
    weights = torch.tensor([[token.weight for token in row] for row in rows])
    if not bool((weights != 1.0).any()):
        return states
    return torch.lerp(empty(), states, weights.to(states)[..., None])


def _run(encoder: Any, rows: Sequence[Sequence[Token]], skip: int, normed: bool) -> tuple[Tensor, Tensor]:
    """Runs the encoder; returns states (rows, tokens, width) and summaries (rows, width)."""
    ids, real = (torch.tensor(values, device=encoder.device) for values in _columns(rows))
    masked = getattr(encoder.config, "use_attention_mask", False)  # only in configurations of Stable Diffusion
    places = ((n, i, token) for n, row in enumerate(rows) for i, token in enumerate(row))
    with with_vectors(encoder, {(n, i): token.vector for n, i, token in places if token.vector is not None}):
        out = encoder(ids, attention_mask=real if masked else None, output_hidden_states=True)
    states: Tensor = out.hidden_states[-1 - skip]
    if normed:
        states = getattr(encoder, "text_model", encoder).final_layer_norm(states)
    return states, out.text_embeds if hasattr(out, "text_embeds") else out.pooler_output


def _columns(rows: Sequence[Sequence[Token]]) -> tuple[list[list[int]], list[list[int]]]:
    ids = [[token.id for token in row] for row in rows]
    return ids, [[int(token.real) for token in row] for row in rows]
