"""Byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909) of the words of the captions.

A library's trainer would give other ids with each call, and a text encoder only works with the ids it was trained on.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

Pair = tuple[str, str]
WORD_END = "</w>"
SPACE = "\u0120"
"""The character that stands for a space in vocabularies of bytes."""
START, END = "<|startoftext|>", "<|endoftext|>"


def byte_pairs(words: Sequence[str]) -> tuple[dict[str, int], list[Pair]]:
    """The id of each token, and merges after which every one of the words is a single token.

    Each character has a token, one within a word and one at its end, so that unknown words can be spelt. ``END`` has
    the last id, because CLIP pools its states at the largest one.
    """
    characters = sorted(string.ascii_lowercase + string.digits + string.punctuation)
    last = [letter + WORD_END for letter in string.ascii_lowercase]
    ids = {piece: i for i, piece in enumerate([*characters, *last])}
    merges = _learn(ids, [[*word[:-1], word[-1] + WORD_END] for word in words])
    for piece in [*(character + WORD_END for character in characters), START, END]:
        ids.setdefault(piece, len(ids))
    return ids, merges


def byte_level_pairs(words: Sequence[str], alphabet: Sequence[str]) -> tuple[dict[str, int], list[Pair]]:
    """As ``byte_pairs``, for vocabularies of bytes, where a space belongs to the word after it.

    Args:
        words: each is a single token after the merges, with a space before it and without.
        alphabet: the characters that stand for bytes.
    """
    ids = {piece: i for i, piece in enumerate(sorted(alphabet))}
    merges = _learn(ids, [[*start, *word] for word in words for start in ("", SPACE)])
    return ids, merges


def _learn(ids: dict[str, int], spelt: list[list[str]]) -> list[Pair]:
    """The merges after which each word is one piece; gives each merged piece the next id."""
    merges: list[Pair] = []
    while counts := Counter(pair for pieces in spelt for pair in pairwise(pieces)):
        most = min(counts, key=lambda pair: (-counts[pair], ids[pair[0]], ids[pair[1]]))
        merges.append(most)
        ids["".join(most)] = len(ids)
        spelt = [_merge(pieces, most) for pieces in spelt]
    return merges


def _merge(pieces: Sequence[str], pair: Pair) -> list[str]:
    merged: list[str] = []
    for piece in pieces:
        if merged and (merged[-1], piece) == pair:
            merged[-1] += piece
        else:
            merged.append(piece)
    return merged
