"""Textual inversion: learnt words in what CLIP encodes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from support.parts import clip
from torch import Tensor

from latentry_diffusers.text.clip import encode_clip
from latentry_shapes.networks import tokenizer

WIDTH = 32
VECTORS = torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(5))
LEARNT = {"cat": VECTORS}


@pytest.fixture(scope="module")
def words() -> Any:
    """24 tokens a window."""
    return tokenizer()


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "projected"])
def encoder(words: Any, request: pytest.FixtureRequest) -> Any:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(4)
        return clip(len(words), width=WIDTH, projected=request.param).eval()


def widened(encoder: Any, words: Any, text: str) -> Any:
    """As transformers runs a table that has the vectors in its last rows: {0} and {1} in the text are those rows."""
    count = encoder.config.vocab_size
    other = copy.deepcopy(encoder)
    other.resize_token_embeddings(count + 2, mean_resizing=False)
    other.get_input_embeddings().weight.data[count:] = VECTORS
    ids = [words.bos_token_id]
    for part in text.split():
        ids += [count + int(part)] if part.isdigit() else words(part, add_special_tokens=False).input_ids
    ids += [words.eos_token_id]
    ids += [words.pad_token_id] * (24 - len(ids))
    with torch.no_grad():
        return other(torch.tensor([ids]), output_hidden_states=True)


@pytest.mark.parametrize(
    ("prompt", "plain"),
    [
        ("a red cat on white", "a red 0 1 on white"),
        ("a red CAT, cat", "a red 0 1 , 0 1"),
        ("a concatenated cats", "a concatenated cats"),
    ],
)
def test_a_learnt_word_stands_for_its_vectors(encoder: Any, words: Any, prompt: str, plain: str) -> None:
    found, expected = encode_clip(encoder, words, [prompt], learnt=LEARNT), widened(encoder, words, plain)
    assert torch.allclose(found.states, expected.last_hidden_state, atol=1e-6)
    pooled = expected.text_embeds if hasattr(expected, "text_embeds") else expected.pooler_output
    if encoder.config.eos_token_id == words.eos_token_id:  # else CLIP looks for the highest id, which is a vector's
        assert torch.allclose(found.pooled, pooled, atol=1e-6)


def test_nothing_else_changes(encoder: Any, words: Any) -> None:
    """Prompts of the same call and later ones, and what other threads encode meanwhile."""
    alone = encode_clip(encoder, words, ["a star"])
    both = encode_clip(encoder, words, ["a star", "a cat"], learnt=LEARNT)
    assert torch.allclose(both.states[:1], alone.states, atol=1e-6)
    texts = [f"a cat {'left ' * (number % 9)}" for number in range(24)]
    learnt: list[Mapping[str, Tensor]] = [LEARNT if number % 2 else {} for number in range(24)]
    one = [encode_clip(encoder, words, [text], learnt=each).states for text, each in zip(texts, learnt, strict=True)]
    with ThreadPoolExecutor(6) as pool:
        many = list(pool.map(lambda text, each: encode_clip(encoder, words, [text], learnt=each).states, texts, learnt))
    assert all(torch.equal(a, b) for a, b in zip(one, many, strict=True))


def test_emphasis_and_windows(encoder: Any, words: Any) -> None:
    """A learnt word is weighed as others are, and fills the windows by its vectors."""
    found = encode_clip(encoder, words, ["a (cat:1.5)"], learnt=LEARNT).states
    whole, empty = (
        encode_clip(encoder, words, ["a cat"], learnt=LEARNT).states,
        encode_clip(encoder, words, [""]).states,
    )
    at = slice(2, 4)  # after the start token and "a"
    assert torch.allclose(found[:, at], empty[:, at] + 1.5 * (whole[:, at] - empty[:, at]), atol=1e-5)
    assert torch.equal(found[:, :2], whole[:, :2])
    assert encode_clip(encoder, words, ["cat " * 11], learnt=LEARNT).states.shape[1] == 24
    assert encode_clip(encoder, words, ["cat " * 12], learnt=LEARNT).states.shape[1] == 48
