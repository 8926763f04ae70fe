"""Reads GGUF's numbers, strings and lists, never past the end of the file or the largest size of a header."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmap import mmap

HEADER = 1 << 24
"""Maximum header size in bytes; one with a vocabulary of 256,000 tokens takes 10 million."""
COUNT = 1 << 16
"""Maximum number of tensors, and of metadata entries."""
STRING, ARRAY = 8, 9
SCALARS: Mapping[int, str] = MappingProxyType(
    dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
)
"""``struct``'s codes of GGUF's types."""


WHOLE = frozenset((0, 1, 2, 3, 4, 5, 10, 11))
"""The integer types."""


class Malformed(ValueError):
    """Not a valid GGUF file; the message completes a sentence that begins with "It"."""


@dataclass
class Cursor:
    """A place in the header.

    Attributes:
        data: the file.
        at: the next byte.
    """

    data: mmap | bytes
    at: int = 0

    def value(self, code: str) -> Any:
        """Reads one number."""
        start = self._advance(struct.calcsize(f"<{code}"))
        return struct.unpack_from(f"<{code}", self.data, start)[0]

    def count(self, what: str) -> int:
        """Reads a count and checks it against the limit."""
        number: int = self.value("Q")
        if number > COUNT:
            raise Malformed(f"claims {number:,} {what}")
        return number

    def text(self) -> str:
        """Reads one string."""
        length = self.value("Q")
        start = self._advance(length)
        try:
            return self.data[start : start + length].decode()
        except UnicodeDecodeError:
            raise Malformed("has a name or a string that is not UTF-8") from None

    def metadata(self, kind: int) -> Any:
        """Reads one value; skips an array and returns None."""
        if kind == STRING:
            return self.text()
        if kind in SCALARS:
            return self.value(SCALARS[kind])
        if kind != ARRAY:
            raise Malformed(f"has metadata of the unknown type {kind:,}")
        self._skip_array()
        return None

    def integers(self, most: int) -> tuple[int, ...]:
        """Reads a short array of integers.

        Args:
            most: maximum length.
        """
        kind, number = self.value("I"), self.value("Q")
        if kind not in WHOLE or number > most:
            raise Malformed(f"has an array of {number:,} entries of the type {kind:,} where a shape is expected")
        return tuple(self.value(SCALARS[kind]) for _ in range(number))

    def _skip_array(self) -> None:
        kind, number = self.value("I"), self.value("Q")
        if kind in SCALARS:
            self._advance(number * struct.calcsize(f"<{SCALARS[kind]}"))
        elif kind == STRING:
            self._skip_strings(number)
        else:
            raise Malformed(f"has an array of the type {kind:,}, which is unknown or an array itself")

    def _skip_strings(self, number: int) -> None:
        """A vocabulary has hundreds of thousands of strings, so this is a tight loop that ends with the header."""
        length, data, at, last = struct.Struct("<Q").unpack_from, self.data, self.at, min(len(self.data), HEADER) - 8
        for _ in range(number):
            if at > last:
                at += 8
                break
            at += 8 + length(data, at)[0]
        self._advance(at - self.at)

    def _advance(self, size: int) -> int:
        """Moves on by this many bytes, and returns the previous position."""
        start, end = self.at, self.at + size
        if end > len(self.data):
            raise Malformed("ends within its header")
        if end > HEADER:
            raise Malformed(f"has a header of more than {HEADER:,} bytes")
        self.at = end
        return start
