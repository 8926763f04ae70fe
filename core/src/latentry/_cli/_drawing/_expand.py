"""From what was typed to the fields of each request: prompts of a file, seeds, alternatives, foreign syntax."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from latentry._cli._drawing._syntax import translate
from latentry._cli._drawing._wildcards import Wildcards
from latentry._errors import OptionError

MOST = 65_536
"""Requests of one command: far beyond what anybody waits for, and a mistake."""


def expand(
    given: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], wildcards: Wildcards | None
) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
    """The fields of each request, and what is to be told about it.

    Each prompt is drawn with each seed, as if it were typed alone.

    Args:
        given: fields that were typed; a seed can be several.
        lines: fields of each line of a file, which count before them.
        wildcards: chooses among alternatives; None to draw them as words.

    Raises:
        OptionError: a prompt cannot be used, or there are too many requests.
    """
    number = 0
    for line in lines or ({},):
        fields = {**given, **line}
        seeds = fields.pop("seed", None)
        for seed in seeds if isinstance(seeds, (tuple, list)) else (seeds,):
            if (number := number + 1) > MOST:
                raise OptionError(f"More than {MOST:,} requests are asked for.", remedy="Give fewer prompts or seeds.")
            yield _request(fields if seed is None else {**fields, "seed": seed}, wildcards)


def _request(fields: dict[str, Any], wildcards: Wildcards | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    if wildcards is not None:
        fields = _chosen(fields, wildcards)
    notes: dict[str, None] = {}
    loras: dict[str, dict[str, Any]] = {}

    def plain(prompt: str) -> str:
        changing = fields.get("prompt_syntax") == "automatic1111"
        translated = translate(prompt, chosen=wildcards is not None, changing=changing)
        notes.update(dict.fromkeys(translated.notes))
        loras.update({lora["path"]: lora for lora in translated.loras})
        return translated.text

    changed: dict[str, Any] = {}
    for name in ("prompt", "negative"):
        value = fields.get(name)
        if isinstance(value, str):
            changed[name] = plain(value)
        elif isinstance(value, tuple):
            changed[name] = tuple(map(plain, value))
    if loras:
        changed["loras"] = (*fields.get("loras", ()), *loras.values())
    return {**fields, **changed}, tuple(notes)


def _chosen(fields: dict[str, Any], wildcards: Wildcards) -> dict[str, Any]:
    """A choice for each picture, which keeps its place and with it its noise."""
    changed: dict[str, Any] = {}
    prompt, count = fields.get("prompt"), fields.get("count", "1")
    if isinstance(prompt, str):
        wanted = int(count) if str(count).isdecimal() else 1
        drawn = tuple(wildcards(prompt) for _ in range(min(wanted, MOST)))
        changed = {"prompt": drawn, "count": 1} if len(set(drawn)) > 1 else {"prompt": drawn[0]} if drawn else {}
    if isinstance(negative := fields.get("negative"), str):
        changed["negative"] = wildcards(negative)
    return {**fields, **changed}
