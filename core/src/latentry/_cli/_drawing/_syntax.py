"""What other programs' users write in prompts and Latentry does not draw: translated, and told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentry._errors import OptionError

NETWORK = re.compile(r"<(\w+):([^:<>]+)(?::([^<>]*))?>")
EDITING = re.compile(r"\[([^\[\]:|]*):(?:([^\[\]:|]*):)?\s*(\d+(?:\.\d+)?)\s*\]")
ALTERNATION = re.compile(r"\[([^\[\]:|]+)(?:\|[^\[\]|]*)+\]")
BREAK = re.compile(r"\s*,?\s*\bBREAK\b\s*,?")
AND = re.compile(r"\s+AND\s+")
LORAS = ("lora", "lyco")
ALTERNATIVES = re.compile(r"\{[^{}]*\|[^{}]*\}|__[\w./-]+__")


@dataclass(frozen=True)
class Translated:
    """A prompt in our own terms.

    Attributes:
        text: without what is not drawn.
        loras: the LoRAs that it names, as a request has them.
        notes: what became of the rest, one sentence each.
    """

    text: str
    loras: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]


def translate(prompt: str, *, chosen: bool, changing: bool = False) -> Translated:
    """A typed prompt without the syntax of other programs, none of which is drawn as words.

    Args:
        prompt: as typed.
        chosen: alternatives were chosen already.
        changing: words that change over the run are drawn, and stay.

    Raises:
        OptionError: it names a LoRA whose file is not here.
    """
    notes: list[str] = []
    loras = [_lora(match) for match in NETWORK.finditer(prompt) if match[1] in LORAS]
    others = [match[0] for match in NETWORK.finditer(prompt) if match[1] not in LORAS]
    notes += [f"{text} in the prompt is left out: it is not supported." for text in others]
    text = NETWORK.sub("", prompt)
    if not changing:
        text = _replaced(EDITING, text, _later, "changes the prompt at a step in AUTOMATIC1111", notes)
        text = _replaced(ALTERNATION, text, lambda match: match[1], "alternates at each step in AUTOMATIC1111", notes)
    if BREAK.search(text):
        text = BREAK.sub(", ", text)
        notes.append("BREAK in the prompt is read as a comma: windows of CLIP end where they are full.")
    if AND.search(text) and any(letter.islower() for letter in text):
        text = AND.sub(", ", text)
        notes.append("AND in the prompt is read as a comma: prompts are not composed.")
    if not chosen and (found := ALTERNATIVES.search(text)):
        notes.append(f"{found[0]} in the prompt is drawn as words; --alternatives or --wildcards chooses one.")
    return Translated(text.strip(), tuple(loras), tuple(notes))


def _replaced(pattern: re.Pattern[str], text: str, by: Any, does: str, notes: list[str]) -> str:
    for match in pattern.finditer(text):
        notes.append(f"{match[0]} {does}; without --prompt-syntax automatic1111 it is {by(match)!r} throughout.")
    return pattern.sub(by, text)


def _later(match: re.Match[str]) -> str:
    """``[from:to:when]`` and ``[to:when]`` end as what comes later; ``[from::when]`` as what was there before."""
    first, second = match[1], match[2]
    return second or first


def _lora(match: re.Match[str]) -> dict[str, Any]:
    name, weight = match[2].strip(), (match[3] or "1").split(":")[0]
    path = next((path for path in (Path(f"{name}.safetensors"), Path(name)) if path.exists()), None)
    if path is None:
        raise OptionError(
            f"{match[0]} in the prompt: there is no file {name}.safetensors in this folder.",
            remedy=f"Give it with --lora PATH:{weight}, and leave it out of the prompt.",
            field="prompt",
        )
    try:
        return {"path": str(path), "weight": float(weight)}
    except ValueError as error:
        raise OptionError(f"{match[0]} in the prompt: its weight must be a number.", field="prompt") from error
