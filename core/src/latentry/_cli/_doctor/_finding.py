"""One thing that was looked at."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

PATH = re.compile(r"\w+://\S+|(?<![\w.~])(?:~|[A-Za-z]:)?(?:[/\\][^\s/\\:,;'\")]+)+")
"""Addresses, and absolute paths and those in the home folder."""
SEPARATOR = re.compile(r"[/\\]")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: what it is about.
        state: ``ok``; ``note`` for what may surprise; ``problem`` for what does not work.
        text: what was found.
        remedy: a command or a sentence that mends it.
    """

    topic: str
    state: Literal["ok", "note", "problem"]
    text: str
    remedy: str = ""

    def without_paths(self) -> Finding:
        """The same for strangers: of paths the last part is left."""
        return replace(self, text=_without_paths(self.text), remedy=_without_paths(self.remedy))


def _without_paths(text: str) -> str:
    for private in (str(Path.cwd()), str(Path.home())):
        text = text.replace(private + os.sep, "…/")
    return PATH.sub(lambda match: match[0] if "://" in match[0] else "…/" + SEPARATOR.split(match[0])[-1], text)
