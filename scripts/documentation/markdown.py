"""Pieces of Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table; empty where there are no rows."""
    lines = ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *lines]) + "\n" if lines else ""


def _cell(text: str) -> str:
    """Bars are escaped outside code only: within it the table keeps them as they are."""
    parts = re.split(r"(`[^`]*`)", text.replace("\n", " "))
    return "".join(part if place % 2 else part.replace("|", "\\|") for place, part in enumerate(parts))


def escaped(text: str) -> str:
    """Plain text that Markdown leaves as it is."""
    return text if "`" in text else re.sub(r"([<>*_\[\]])", r"\\\1", text)


def first_sentence(cls: type) -> str:
    """How a class's docstring begins."""
    return " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split()).replace("``", "`")


def titled(noun: str) -> str:
    """With a capital."""
    return noun[0].upper() + noun[1:]
