"""Names of the Hub: ``owner/name``, one file in it, and a revision of either."""

from __future__ import annotations

import re
from dataclasses import dataclass

from latentry.models import WEIGHT_SUFFIXES

_NAME = re.compile(
    r"(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)"
    rf"(?:/(?P<file>[^@]+(?:{'|'.join(map(re.escape, sorted(WEIGHT_SUFFIXES)))})))?"
    r"(?:@(?P<revision>[^@\s]+))?"
)


@dataclass(frozen=True)
class HubName:
    """A repository, or one file in it.

    Attributes:
        repository: ``owner/name``.
        file: one file of weights in it; empty for the whole model.
        revision: a branch, tag or commit; None for the main branch.
    """

    repository: str
    file: str = ""
    revision: str | None = None

    def __str__(self) -> str:
        return f"{self.repository}/{self.file}" if self.file else self.repository


def parse(text: str) -> HubName | None:
    """Reads ``owner/name``, ``owner/name/file.gguf``, and either with ``@revision``; None if it is neither."""
    found = _NAME.fullmatch(text)
    return HubName(found["repository"], found["file"] or "", found["revision"]) if found else None
