"""Which packages a record's extra asks for that are not installed, by what distributions say of themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator

import importlib_metadata

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
WANTED = re.compile(rf"({NAME})\s*(?:\[([^\]]*)\])?")
NEED = re.compile(rf"""({NAME})[^;]*;\s*extra\s*==\s*["']({NAME})["']\s*""")
"""A requirement of an extra on any platform; others are left out. ``packaging`` reads all, but takes as long as the
listing.
"""


def lacking(extra: str) -> Iterator[str]:
    """The distributions that installing ``extra`` would bring; none where it is empty or not a requirement.

    Nothing is imported, so that what is installed may still not run here.

    Args:
        extra: as pip takes it, e.g. ``latentry-attention-flash[cuda]``.
    """
    wanted = WANTED.match(extra)
    if wanted is None:
        return
    needs = _requirements(wanted[1])
    if needs is None:
        yield wanted[1]
        return
    extras = re.findall(NAME, wanted[2] or "")
    for need in filter(None, map(NEED.fullmatch, needs)):
        if need[2] in extras and _requirements(need[1]) is None:
            yield need[1]


def _requirements(distribution: str) -> list[str] | None:
    """What an installed distribution needs, with markers; None where it is not installed."""
    try:
        return importlib_metadata.requires(distribution) or []
    except importlib_metadata.PackageNotFoundError:
        return None
