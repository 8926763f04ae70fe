"""Values of the command line that are more than one word or number."""

from __future__ import annotations

import json
from typing import Any

from latentry._errors import OptionError


def named_values(flag: str, pairs: list[str] | None) -> dict[str, Any]:
    """NAME=VALUE pairs; a value that is JSON is taken as such, any other as text."""
    found: dict[str, Any] = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise OptionError(f"{flag} {pair} is no NAME=VALUE.", remedy=f"E.g. {flag} eta=0.5.")
        try:
            found[name.strip()] = json.loads(value)
        except ValueError:
            found[name.strip()] = value
    return found


def levels(text: str | None) -> str | tuple[float, ...] | None:
    """A schedule's name, or levels separated by commas."""
    if text is None:
        return None
    try:
        return tuple(float(level) for level in text.split(",") if level.strip())
    except ValueError:
        return text


def shares(flag: str, text: str | None) -> tuple[float, ...] | None:
    """From where to where, as in 0.2,0.8."""
    if text is None:
        return None
    try:
        first, last = (float(share) for share in text.split(","))
    except ValueError as error:
        raise OptionError(f"{flag} {text} is no interval.", remedy=f"E.g. {flag} 0.2,0.8.") from error
    return first, last


def numbers(flag: str, text: str | None) -> tuple[int, ...] | None:
    """Whole numbers separated by commas."""
    if text is None:
        return None
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError as error:
        raise OptionError(f"{flag} {text} is no list of numbers.", remedy=f"E.g. {flag} 7,8,9.") from error


def weighted_files(files: list[str] | None) -> list[dict[str, Any]]:
    """FILE or FILE:WEIGHT; what follows the last colon is a weight where it is a number."""
    found: list[dict[str, Any]] = []
    for text in files or ():
        path, _, weight = text.rpartition(":")
        try:
            found.append({"path": path, "weight": float(weight)} if path else {"path": text})
        except ValueError:
            found.append({"path": text})
    return found
