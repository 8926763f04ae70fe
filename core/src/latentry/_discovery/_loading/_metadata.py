"""What an installed distribution says of itself: its name, version and requirements.

``importlib_metadata`` has the standard library's mail parser read the whole file, its README included; importing that
parser takes a tenth of a listing's time. Three headers need neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import Any, NamedTuple


class Metadata(NamedTuple):
    """Headers of a distribution's metadata; an empty version where there is none."""

    name: str
    version: str
    requires: tuple[str, ...]


def metadata_of(distribution: Any) -> Metadata:
    """The metadata of a distribution; what has no ``METADATA`` file, as an egg, is left to ``importlib_metadata``.

    Args:
        distribution: an ``importlib_metadata.Distribution``.

    Raises:
        KeyError: it has no name.
    """
    text = distribution.read_text("METADATA")
    if not text:
        parsed = distribution.metadata
        return Metadata(parsed["Name"], parsed.get("Version", ""), tuple(distribution.requires or ()))
    headers = list(_headers(text))
    first = dict(reversed(headers))
    requires = tuple(value for name, value in headers if name == "requires-dist")
    return Metadata(first["name"], first.get("version", ""), requires)


def _headers(text: str) -> Iterator[tuple[str, str]]:
    """Names in lower case and values, up to the empty line that ends them; a value can go on in indented lines."""
    lines = list(takewhile(bool, text.split("\n")))
    starts = [number for number, line in enumerate(lines) if not line[0].isspace()]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        name, colon, value = " ".join(map(str.strip, lines[start:end])).partition(":")
        if not colon:
            return  # what the description begins with where the empty line is missing
        yield name.lower(), value.strip()
