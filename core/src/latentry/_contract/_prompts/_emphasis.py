"""Emphasis in prompts: ``(words:1.3)``, as the field writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter

EMPHASIS = 1.1
"""The weight of round brackets without a number; square brackets divide by it."""

_TOKEN = re.compile(r"\\[()\[\]\\]|[()\[\]]|[^()\[\]\\]+|\\")
_NUMBER = re.compile(r"(.*):\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*", re.DOTALL)
_CLOSING = {")": "(", "]": "["}


@dataclass
class _Group:
    """The text within one pair of brackets; ``tail`` is what follows the last nested group."""

    bracket: str = ""
    pieces: list[tuple[str, float]] = field(default_factory=list)
    tail: str = ""

    def whole(self) -> list[tuple[str, float]]:
        """All pieces, the tail included."""
        if self.tail:
            self.pieces.append((self.tail, 1.0))
            self.tail = ""
        return self.pieces


def parse_emphasis(text: str) -> tuple[tuple[str, float], ...]:
    r"""The pieces of a prompt with their weights, in order; joined, they are the prompt without its brackets.

    ``(words)`` weighs 1.1, ``[words]`` 1/1.1, ``(words:1.3)`` 1.3; nested weights multiply. ``\(``, ``\)``, ``\[``,
    ``\]`` and ``\\`` are literal, and so is a bracket without its partner. An empty prompt has no pieces.
    """
    stack = [_Group()]
    for token in _TOKEN.findall(text):
        if token in ("(", "["):
            stack.append(_Group(token))
        elif _CLOSING.get(token) == stack[-1].bracket:
            closed = stack.pop()
            weight = _weight(closed)
            stack[-1].whole().extend((inner, of * weight) for inner, of in closed.whole())
        else:
            stack[-1].tail += token[1:] if len(token) == 2 and token[0] == "\\" else token
    return _merged([piece for group in stack for piece in ((group.bracket, 1.0), *group.whole())])


def _weight(group: _Group) -> float:
    """The weight of a closed group; removes its number from the text."""
    if group.bracket == "[":
        return 1.0 / EMPHASIS
    if (match := _NUMBER.fullmatch(group.tail)) is None:
        return EMPHASIS
    group.tail = match[1]
    return float(match[2])


def _merged(pieces: list[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """Joins neighbours of equal weight and drops empty pieces."""
    full = [piece for piece in pieces if piece[0]]
    return tuple(("".join(text for text, _ in run), weight) for weight, run in groupby(full, key=itemgetter(1)))
