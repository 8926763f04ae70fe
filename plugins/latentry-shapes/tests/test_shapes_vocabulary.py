"""The tokenizer knows every word of the captions, and gives the ids the shipped model was trained on."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import CLIPTokenizer

from latentry_shapes import networks
from latentry_shapes._vocabulary import END, START, byte_pairs
from latentry_shapes.scenes import PAIRS, random_scene, words

IDS = {
    "a": 68, "an": 99, "on": 131, "background": 176, "red": 138, "orange": 165, "yellow": 172, "green": 173,
    "cyan": 162, "blue": 151, "purple": 167, "pink": 168, "black": 152, "white": 171, "gray": 146,
    "circle": 160, "square": 169, "triangle": 170, "diamond": 163, "cross": 177, "ring": 149, "left": 164,
    "of": 130, "right": 174, "above": 175, "below": 159,
}  # fmt: skip
"""Pinned: a changed id makes the shipped weights worthless."""


@pytest.fixture(scope="module")
def tokenizer() -> CLIPTokenizer:
    return networks.tokenizer()


def test_every_word_is_one_token_with_its_pinned_id(tokenizer: CLIPTokenizer) -> None:
    assert {word: tokenizer(word, add_special_tokens=False).input_ids for word in words()} == {
        word: [number] for word, number in IDS.items()
    }
    assert len(tokenizer) == 222


def test_ids_are_dense_and_the_end_comes_last() -> None:
    ids, merges = byte_pairs(words())
    assert sorted(ids.values()) == list(range(len(ids)))
    assert (ids[START], ids[END]) == (len(ids) - 2, len(ids) - 1)
    assert all("".join(pair) in ids for pair in merges)


def test_ids_are_the_same_in_every_process(tokenizer: CLIPTokenizer) -> None:
    code = "from latentry_shapes._vocabulary import byte_pairs; from latentry_shapes.scenes import words; "
    code += "print(sorted(byte_pairs(words())[0].items()))"
    runs = {subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout for _ in range(3)}
    assert runs == {f"{sorted(tokenizer.get_vocab().items())}\n".encode()}


def test_captions_round_trip_without_an_unknown_word(tokenizer: CLIPTokenizer) -> None:
    rng = random.Random(7)
    for caption in {random_scene(rng, PAIRS).caption() for _ in range(1000)}:
        ids = tokenizer(caption).input_ids
        assert tokenizer.decode(ids, skip_special_tokens=True).strip() == caption
        assert ids[0] == tokenizer.bos_token_id
        assert ids.index(tokenizer.eos_token_id) == len(ids) - 1 == len(caption.split()) + 1
        assert len(ids) <= networks.TOKENS


def test_unknown_words_are_spelt(tokenizer: CLIPTokenizer) -> None:
    ids = tokenizer("a Zebra, 4!").input_ids
    assert tokenizer.eos_token_id not in ids[:-1]
    assert tokenizer.decode(ids, skip_special_tokens=True).replace(" ", "") == "azebra,4!"


def test_a_saved_tokenizer_is_the_same(tokenizer: CLIPTokenizer, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    loaded = CLIPTokenizer.from_pretrained(tmp_path, local_files_only=True)
    assert loaded.get_vocab() == tokenizer.get_vocab()
    prompt = "a red circle left of a blue square"
    padded = tokenizer(prompt, padding="max_length").input_ids
    assert loaded(prompt, padding="max_length").input_ids == padded
    assert len(padded) == networks.TOKENS
