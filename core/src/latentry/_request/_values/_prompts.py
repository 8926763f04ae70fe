"""Prompts from a file: a line for each, as text or as a JSON object of a request's fields."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from latentry._errors import OptionError

STANDARD_INPUT = "-"
MOST = 65_536
"""Prompts of a file."""


def read_prompts(file: str) -> list[Mapping[str, Any]]:
    """The fields that each line of a file gives; empty lines and those that begin with ``#`` give none.

    Args:
        file: a path, or ``-`` for standard input.

    Raises:
        OptionError: the file cannot be read, or a line is JSON of another kind.
    """
    try:
        if file == STANDARD_INPUT:
            text = sys.stdin.read()
        else:
            with open(file, encoding="utf-8-sig") as opened:
                text = opened.read()
    except (OSError, ValueError) as error:  # bytes that are not UTF-8 are a ValueError
        raise OptionError(f"{file} cannot be read.", why=str(error)) from error
    found = list(_fields(file, text))
    if not found:
        raise OptionError(f"{file} has no prompts.", remedy="Write one on each line.")
    if len(found) > MOST:
        raise OptionError(f"{file} has {len(found):,} prompts.", why=f"{MOST:,} are the most.")
    return found


def _fields(file: str, text: str) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        yield _object(file, number, words) if words.startswith('{"') else {"prompt": words}


def _object(file: str, number: int, line: str) -> Mapping[str, Any]:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise OptionError(
            f"{file}: line {number} is not valid JSON.",
            why=str(error),
            remedy='Write text, or an object such as {"prompt": "a red circle", "steps": 8}.',
        ) from error
    if not isinstance(content.get("prompt"), str):
        raise OptionError(f'--prompts {file}: line {number} has no "prompt" that is text.')
    return dict(content)
