"""Prompts whose words change over a run, as AUTOMATIC1111's users write them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from latentry._request._generation_request import PromptSyntax

DEEPEST = 32
"""Brackets within brackets; those within them stay as they are."""
_WHEN = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*")


@dataclass(frozen=True)
class PromptSchedule:
    """A prompt over the steps of a run.

    Attributes:
        texts: the different ones, in the order of their first use.
        steps: for each step which of them it is.
    """

    texts: tuple[str, ...]
    steps: tuple[int, ...] = (0,)


def schedule_of(prompt: str, syntax: PromptSyntax, steps: int) -> PromptSchedule:
    """What a prompt is at each step.

    ``[from:to:when]`` is ``from`` in the first ``when`` steps and ``to`` afterwards; ``[to:when]`` and ``[from::when]``
    lack one of them. Below 1, ``when`` is a share of the steps. ``[a|b|c]`` is ``a`` in the first step, ``b`` in the
    second, and so on, over and over. Brackets may hold brackets. All others, and those after a backslash, stay.

    Args:
        prompt: as it was typed.
        syntax: ``automatic1111``; with ``plain`` it is the same throughout.
        steps: of the run.
    """
    if syntax == "plain":
        return PromptSchedule((prompt,))
    parts = _parts(prompt)
    each = [_written(parts, index, steps) for index in range(steps)]
    texts = tuple(dict.fromkeys(each))
    return PromptSchedule(texts, tuple(map(texts.index, each)))


def prompt_syntax_of(*prompts: str) -> PromptSyntax:
    """How AUTOMATIC1111's prompts are written: plainly, unless the words of one of them change over a run.

    For those who draw its users' prompts: a request's ``prompt_syntax`` is refused where it has no effect.
    """
    changing = any(isinstance(part, _Edited | _Alternating) for text in prompts for part in _parts(text))
    return "automatic1111" if changing else "plain"


def _parts(prompt: str) -> tuple[_Part, ...]:
    return _Reading(prompt).parts(0, len(prompt), 0)


@dataclass(frozen=True)
class _Edited:
    before: tuple[_Part, ...]
    after: tuple[_Part, ...]
    when: Fraction

    def at(self, index: int, steps: int) -> tuple[_Part, ...]:
        first = self.when * steps if self.when < 1 else self.when
        return self.before if index + 1 <= first else self.after


@dataclass(frozen=True)
class _Alternating:
    choices: tuple[tuple[_Part, ...], ...]

    def at(self, index: int, steps: int) -> tuple[_Part, ...]:
        return self.choices[index % len(self.choices)]


_Part = str | _Edited | _Alternating


def _written(parts: tuple[_Part, ...], index: int, steps: int) -> str:
    return "".join(part if isinstance(part, str) else _written(part.at(index, steps), index, steps) for part in parts)


class _Reading:
    """Reads one prompt."""

    def __init__(self, text: str) -> None:
        self._text, self._ends = text, _pairs(text)

    def parts(self, start: int, end: int, depth: int) -> tuple[_Part, ...]:
        """What stands between two places."""
        found: list[_Part] = []
        kept = start
        for opening in self._brackets(start, end):
            closing = self._ends[opening]
            part = self._changing(opening + 1, closing, depth + 1) if depth < DEEPEST else None
            if part is not None:
                found += [self._text[kept:opening], part]
                kept = closing + 1
            elif depth < DEEPEST:  # it stays, but may hold one that changes
                found += [self._text[kept : opening + 1], *self.parts(opening + 1, closing, depth + 1)]
                kept = closing
        return (*found, self._text[kept:end])

    def _changing(self, start: int, end: int, depth: int) -> _Edited | _Alternating | None:
        """The inside of a bracket; None where it is of another kind."""
        marks = list(self._marks(start, end))
        if bars := [place for place, mark in marks if mark == "|"]:
            pairs = zip([start, *(bar + 1 for bar in bars)], [*bars, end], strict=True)
            return _Alternating(tuple(self.parts(first, last, depth) for first, last in pairs))
        when = _WHEN.fullmatch(self._text, marks[-1][0] + 1, end) if len(marks) in (1, 2) else None
        if when is None:
            return None
        last = self.parts(marks[-2][0] + 1 if len(marks) == 2 else start, marks[-1][0], depth)
        first = self.parts(start, marks[0][0], depth) if len(marks) == 2 else ()
        return _Edited(first, last, Fraction(when[1].rstrip(".")))

    def _brackets(self, start: int, end: int) -> Iterator[int]:
        """The outermost brackets, by where they open."""
        place = start
        while place < end:
            if place in self._ends and self._text[place] == "[":
                yield place
                place = self._ends[place]
            place += 1

    def _marks(self, start: int, end: int) -> Iterator[tuple[int, str]]:
        """The colons and bars that are in no further bracket."""
        place = start
        while place < end:
            if place in self._ends:
                place = self._ends[place]
            elif self._text[place] in ":|":
                yield place, self._text[place]
            place += 1


def _pairs(text: str) -> Mapping[int, int]:
    """Where each bracket that is closed closes."""
    ends: dict[int, int] = {}
    opened: list[int] = []
    escaped = False
    for place, sign in enumerate(text):
        if escaped or sign == "\\":
            escaped = not escaped
        elif sign in "([":
            opened.append(place)
        elif sign in ")]" and opened and text[opened[-1]] == {")": "(", "]": "["}[sign]:
            ends[opened.pop()] = place
    return ends
