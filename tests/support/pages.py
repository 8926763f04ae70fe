"""The documentation's pages as tests read them: code blocks, and what is said about running them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
"""The README and the pages that are written by hand, but for decisions."""
FENCE = re.compile(
    r"(?:^[ ]*<!-- not run: (?P<why>.+?) -->\n\n?)?^(?P<indent>[ ]*)```(?P<language>\w*)(?P<more>[^\n]*)\n"
    r"(?P<text>.*?)^(?P=indent)```",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of code.

    Attributes:
        language: as the page gives it; empty for commands.
        text: without the indentation of the fence.
        title: the file that it is, from ``title="…"``.
        why: why it is not run, where the page says so in a comment before it.
    """

    language: str
    text: str
    title: str
    why: str


def blocks(page: Path) -> Iterator[Block]:
    """Those of a page, in their order."""
    for found in FENCE.finditer(page.read_text(encoding="utf-8")):
        indent = len(found["indent"])
        text = "".join(line[indent:] or "\n" for line in found["text"].splitlines(keepends=True))
        title = re.search(r'title="(.*?)"', found["more"])
        yield Block(found["language"], text, title[1] if title else "", found["why"] or "")


def command_lines(page: Path) -> Iterator[tuple[str, ...]]:
    """The ``latentry`` commands of a page, in words, comments left out."""
    for block in blocks(page):
        if block.language in ("", "sh"):
            for line in block.text.replace("\\\n", " ").splitlines():
                for part in line.split("&&"):
                    words = shlex.split(part, comments=True)
                    if words and words[0].rpartition("/")[2] == "latentry":
                        yield tuple(words[1:])
