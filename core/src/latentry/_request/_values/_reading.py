"""Reading values that are more than one word or number from the text that a person types.

Each function raises a ``ValueError`` whose message completes "it must be …".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from latentry._contract._curve import Curve

CONTROL = "MODEL=PICTURE[:WEIGHT[:FROM-TO]], e.g. canny=edges.png:0.8:0-0.5"
MANY = 65_536
"""Seeds of one command."""


def named_values(*pairs: str) -> dict[str, Any]:
    """``NAME=VALUE`` pairs. A value that is valid JSON is read as JSON, any other as text."""
    values: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ValueError("NAME=VALUE, e.g. eta=0.5")
        values[name.strip()] = _json_or_text(value)
    return values


def named_values_by_owner(*pairs: str) -> dict[str, dict[str, Any]]:
    """``OWNER.NAME=VALUE`` pairs, grouped by owner; those without an owner are under the empty name."""
    values: dict[str, dict[str, Any]] = {}
    for name, value in named_values(*pairs).items():
        owner, _, option = name.rpartition(".")
        values.setdefault(owner, {})[option] = value
    return values


def name_or_levels(text: str) -> str | tuple[float, ...]:
    """The name of a sigma schedule, or levels separated by commas."""
    try:
        return tuple(float(level) for level in text.split(",") if level.strip())
    except ValueError:
        return text


def seeds(*texts: str) -> int | tuple[int, ...]:
    """Seeds, and ranges of them with both ends: ``7``, ``1..16``, ``1,5,9``. One seed stands alone."""
    found: list[int] = []
    try:
        for part in ",".join(texts).split(","):
            first, dots, last = part.partition("..")
            numbers = range(int(first), int(last) + 1) if dots else range(int(first), int(first) + 1)
            if not numbers or len(found) + len(numbers) > MANY:
                raise ValueError
            found += numbers
    except (ValueError, OverflowError) as error:
        raise ValueError(f"whole numbers or ranges such as 1..16, at most {MANY:,}") from error
    return found[0] if len(found) == 1 else tuple(found)


def interval(text: str) -> tuple[float, float]:
    """Two numbers separated by a comma."""
    try:
        first, last = (float(share) for share in text.split(","))
    except ValueError as error:
        raise ValueError("two shares of the steps, e.g. 0.2,0.8") from error
    return first, last


def whole_numbers(text: str) -> tuple[int, ...]:
    """Whole numbers separated by commas."""
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError as error:
        raise ValueError("whole numbers separated by commas, e.g. 7,8,9") from error


def weighted_files(*texts: str) -> tuple[dict[str, Any], ...]:
    """``FILE`` or ``FILE:WEIGHT``. What follows the last colon is the weight if it is a number or a curve."""
    return tuple(_weighted_file(text) for text in texts)


def named_files(*texts: str) -> tuple[dict[str, Any], ...]:
    """``NAME=FILE``, or ``FILE``, whose own name it is then."""
    pairs = (text.rpartition("=") for text in texts)
    return tuple({"name": name or None, "path": path} for name, _, path in pairs)


def controls(*texts: str) -> tuple[dict[str, Any], ...]:
    """``MODEL=PICTURE``, then ``:WEIGHT``, ``:FROM-TO``, ``:mask=PICTURE`` and ``:NAME=VALUE``, each optional."""
    return tuple(_control(text) for text in texts)


def dtypes(*texts: str) -> Mapping[str, Any]:
    """``DTYPE`` for all parts and ``PART=DTYPE`` for single ones, as the fields ``dtype`` and ``dtypes``."""
    fields: dict[str, Any] = {}
    for text in texts:
        part, equals, name = text.partition("=")
        parts = fields.setdefault("dtypes", {}) if equals else fields
        key = part if equals else "dtype"
        if key in parts:
            raise ValueError("given once for all parts, and once for each part")
        parts[key] = name if equals else text
    return fields


def tiling(text: str) -> bool | int | str:
    """``on``, ``off``, ``auto``, or the side of a tile in pixels."""
    words: dict[str, bool | str] = {"on": True, "off": False, "auto": "auto"}
    if text in words:
        return words[text]
    try:
        return int(text)
    except ValueError as error:
        raise ValueError("on, off, auto, or the side of a tile in pixels, e.g. 512") from error


def _weighted_file(text: str) -> dict[str, Any]:
    path, _, weight = text.rpartition(":")
    for mark in (":σ", ":sigma"):  # of a curve over noise levels
        if path.endswith(mark):
            path, weight = path.removesuffix(mark), f"{mark[1:]}:{weight}"
    try:
        return {"path": path, "weight": _weight(weight)} if path else {"path": text}
    except ValueError:
        return {"path": text}


def _control(text: str) -> dict[str, Any]:
    model, equals, rest = text.partition("=")
    picture, *settings = _with_drives(rest.split(":"))
    if not (model and equals and picture):
        raise ValueError(CONTROL)
    found: dict[str, Any] = {"model": model, "picture": picture}
    numbers = [each for each in settings if "=" not in each]
    named = named_values(*(each for each in settings if "=" in each))
    for field, read in ((("weight", _weight)), ("interval", _from_to)):
        if numbers:
            found[field] = read(numbers.pop(0))
    if numbers:
        raise ValueError(CONTROL)
    found |= {name: named.pop(name) for name in ("branches", "mask") if name in named}
    return found | ({"options": named} if named else {})


def _with_drives(parts: list[str]) -> list[str]:
    """Parts of a text between its colons, those after the drive of a path joined again."""
    joined: list[str] = []
    for part in parts:
        if joined and len(joined[-1].removeprefix("mask=")) == 1 and part[:1] in ("/", "\\"):
            joined[-1] += f":{part}"
        else:
            joined.append(part)
    return joined


def _weight(text: str) -> float | Curve:
    try:
        return float(text)
    except ValueError:
        return Curve.parse(text)


def _from_to(text: str) -> tuple[float, float]:
    try:
        first, last = map(float, text.split("-"))
    except ValueError as error:
        raise ValueError(CONTROL) from error
    return first, last


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
