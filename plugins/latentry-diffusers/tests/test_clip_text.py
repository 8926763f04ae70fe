"""Prompts through CLIP: windows, emphasis, clip skip; beside transformers' own way of calling it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from support.models import PROMPT
from support.parts import clip
from torch import Tensor

from latentry import OptionError
from latentry_diffusers.text.clip import encode_clip
from latentry_shapes.networks import tokenizer

LONG = "a red circle left of a blue square " * 8


@pytest.fixture(scope="module")
def words() -> Any:
    """The tokenizer: 24 tokens a window."""
    return tokenizer()


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "projected"])
def encoder(words: Any, request: pytest.FixtureRequest) -> Any:
    """Three layers."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(4)
        return clip(len(words), width=32, projected=request.param).eval()


def plain(encoder: Any, words: Any, prompts: Sequence[str]) -> Any:
    """As the pipelines of diffusers call it."""
    given = words(list(prompts), padding="max_length", max_length=24, truncation=True, return_tensors="pt")
    with torch.no_grad():
        return encoder(given.input_ids, output_hidden_states=True)


def norm(encoder: Any, states: Tensor) -> Tensor:
    """The final layer norm, found by its name."""
    (layer,) = [module for name, module in encoder.named_modules() if name.endswith("final_layer_norm")]
    with torch.no_grad():
        normed: Tensor = layer(states)
    return normed


def test_a_short_prompt_is_what_transformers_makes_of_it(encoder: Any, words: Any) -> None:
    prompts = [PROMPT, "", "a star", "Ein  Wort\nmehr"]
    found, expected = encode_clip(encoder, words, prompts), plain(encoder, words, prompts)
    assert torch.equal(found.states, expected.last_hidden_state)
    pooled = expected.text_embeds if hasattr(expected, "text_embeds") else expected.pooler_output
    assert torch.equal(found.pooled, pooled)


@pytest.mark.parametrize("skip", [0, 1, 2])
def test_a_layer_before_the_last(encoder: Any, words: Any, skip: int) -> None:
    states = plain(encoder, words, [PROMPT]).hidden_states[-1 - skip]
    assert torch.equal(encode_clip(encoder, words, [PROMPT], skip=skip, normed=False).states, states)
    assert torch.allclose(encode_clip(encoder, words, [PROMPT], skip=skip).states, norm(encoder, states), atol=1e-6)


def test_more_layers_than_there_are_cannot_be_left_out(encoder: Any, words: Any) -> None:
    with pytest.raises(OptionError, match="3 layers of this text encoder") as caught:
        encode_clip(encoder, words, [PROMPT], skip=3)
    assert "clip_skip" in caught.value.remedy


def test_a_long_prompt_goes_through_in_windows(encoder: Any, words: Any, caplog: pytest.LogCaptureFixture) -> None:
    found = encode_clip(encoder, words, [LONG])
    ids = words(LONG, add_special_tokens=False, verbose=False).input_ids
    pieces = [ids[i : i + 22] for i in range(0, len(ids), 22)]
    assert len(pieces) > 2
    assert found.states.shape[1] == 24 * len(pieces)
    for number, piece in enumerate(pieces):
        row = [words.bos_token_id, *piece, words.eos_token_id]
        row += [words.pad_token_id] * (24 - len(row))
        with torch.no_grad():
            out = encoder(torch.tensor([row]))
        window = found.states[:, 24 * number : 24 * (number + 1)]
        assert torch.allclose(window, out.last_hidden_state, atol=1e-5)
        if number == 0:
            first = out.text_embeds if hasattr(out, "text_embeds") else out.pooler_output
            assert torch.allclose(found.pooled, first, atol=1e-5)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("count", [22, 23, 44, 45])
def test_a_window_is_filled_to_the_last_token(encoder: Any, words: Any, count: int) -> None:
    prompt = " ".join(["red"] * count)
    assert len(words(prompt, add_special_tokens=False, verbose=False).input_ids) == count
    assert encode_clip(encoder, words, [prompt]).states.shape[1] == 24 * -(-count // 22)


def test_windows_can_be_limited(encoder: Any, words: Any) -> None:
    whole, one = encode_clip(encoder, words, [LONG]), encode_clip(encoder, words, [LONG], windows=1)
    assert torch.allclose(one.states, whole.states[:, :24], atol=1e-5)
    assert torch.allclose(one.pooled, whole.pooled, atol=1e-5)


def test_shorter_prompts_are_filled_up_with_empty_windows(encoder: Any, words: Any) -> None:
    both = encode_clip(encoder, words, ["a star", LONG])
    alone, empty = encode_clip(encoder, words, ["a star"]), encode_clip(encoder, words, [""])
    assert torch.allclose(both.states[:1, :24], alone.states, atol=1e-5)
    for at in range(24, both.states.shape[1], 24):
        assert torch.allclose(both.states[:1, at : at + 24], empty.states, atol=1e-5)
    assert torch.allclose(both.states[1:], encode_clip(encoder, words, [LONG]).states, atol=1e-5)
    assert torch.allclose(both.pooled[:1], alone.pooled, atol=1e-5)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.3, -1.0])
def test_emphasis_moves_its_tokens_away_from_the_empty_prompt(encoder: Any, words: Any, weight: float) -> None:
    found = encode_clip(encoder, words, [f"a (red circle:{weight}) left", "a star"])
    whole, empty = encode_clip(encoder, words, ["a red circle left", "a star"]), encode_clip(encoder, words, [""])
    inside = torch.zeros(24, 1)
    first, end = (1 + len(words(text, add_special_tokens=False).input_ids) for text in ("a ", "a red circle"))
    inside[first:end] = 1
    expected = torch.where(inside > 0, empty.states + weight * (whole.states - empty.states), whole.states)
    assert torch.allclose(found.states[:1], expected[:1], atol=1e-5)
    assert torch.allclose(found.states[1:], whole.states[1:], atol=1e-6)
    assert torch.allclose(found.pooled, whole.pooled, atol=1e-6)


def test_emphasis_reaches_later_windows(encoder: Any, words: Any) -> None:
    found = encode_clip(encoder, words, [LONG + "(star:1.5)"])
    whole = encode_clip(encoder, words, [LONG + "star"])
    changed = (found.states - whole.states).abs().amax((0, 2)).nonzero().flatten().tolist()
    given = [words(text, add_special_tokens=False, verbose=False).input_ids for text in (LONG, LONG + "star")]
    before, after = map(len, given)
    assert changed == [i // 22 * 24 + 1 + i % 22 for i in range(before, after)]


def test_brackets_that_are_meant_stay(encoder: Any, words: Any) -> None:
    meant = encode_clip(encoder, words, [r"a \(red\) circle"]).states
    plainly = plain(encoder, words, ["a (red) circle"]).last_hidden_state
    assert torch.equal(meant, plainly)


def test_an_encoder_that_wants_a_mask_gets_one(encoder: Any, words: Any) -> None:
    """As Stable Diffusion's older configurations have it: what only fills a window is not attended to."""
    config = encoder.config
    config.use_attention_mask = True
    try:
        masked = encode_clip(encoder, words, ["a star"]).states
        given = words(["a star"], padding="max_length", max_length=24, return_tensors="pt")
        with torch.no_grad():
            expected = encoder(given.input_ids, attention_mask=given.attention_mask).last_hidden_state
    finally:
        del config.use_attention_mask
    assert torch.allclose(masked, expected, atol=1e-6)


def test_eight_threads_share_an_encoder(encoder: Any, words: Any) -> None:
    prompts = [f"a red circle {'left ' * number}" for number in range(40)]
    alone = [encode_clip(encoder, words, [prompt]).states for prompt in prompts]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda prompt: encode_clip(encoder, words, [prompt]).states, prompts))
    assert all(torch.equal(a, b) for a, b in zip(found, alone, strict=True))
