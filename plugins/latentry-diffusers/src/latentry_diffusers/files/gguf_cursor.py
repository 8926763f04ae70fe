"""Reads GGUF's numbers, texts and lists, never past the end of the file or of what a header may take."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmap import mmap

HEADER = 1 << 24
"""Bytes in which a header must end; those with a vocabulary of 256,000 tokens take 10 million."""
COUNT = 1 << 16
"""Most tensors, and most entries of the metadata."""
STRING, ARRAY = 8, 9
SCALARS: Mapping[int, str] = MappingProxyType(
    dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
)
"""``struct``'s codes of GGUF's types."""


class Malformed(ValueError):
    """Why it is no GGUF file, to be put after "it"."""


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
        """One number."""
        start = self._past(struct.calcsize(f"<{code}"))
        return struct.unpack_from(f"<{code}", self.data, start)[0]

    def count(self, what: str) -> int:
        """How many there are of something."""
        number: int = self.value("Q")
        if number > COUNT:
            raise Malformed(f"claims {number:,} {what}")
        return number

    def text(self) -> str:
        """One string."""
        length = self.value("Q")
        start = self._past(length)
        try:
            return self.data[start : start + length].decode()
        except UnicodeDecodeError:
            raise Malformed("has a name or a text that is not UTF-8") from None

    def metadata(self, kind: int) -> Any:
        """One value; None for an array, which is passed over."""
        if kind == STRING:
            return self.text()
        if kind in SCALARS:
            return self.value(SCALARS[kind])
        if kind != ARRAY:
            raise Malformed(f"has metadata of the unknown type {kind:,}")
        self._pass_array()
        return None

    def _pass_array(self) -> None:
        kind, number = self.value("I"), self.value("Q")
        if kind in SCALARS:
            self._past(number * struct.calcsize(f"<{SCALARS[kind]}"))
        elif kind == STRING:
            self._pass_texts(number)
        else:
            raise Malformed(f"has an array of the type {kind:,}, which is not known or an array again")

    def _pass_texts(self, number: int) -> None:
        """A vocabulary has hundreds of thousands, so this is a tight loop; it ends with the header at the latest."""
        length, data, at, last = struct.Struct("<Q").unpack_from, self.data, self.at, min(len(self.data), HEADER) - 8
        for _ in range(number):
            if at > last:
                at += 8
                break
            at += 8 + length(data, at)[0]
        self._past(at - self.at)

    def _past(self, size: int) -> int:
        """Moves on, and gives the place before."""
        start, end = self.at, self.at + size
        if end > len(self.data):
            raise Malformed("ends within its header")
        if end > HEADER:
            raise Malformed(f"has a header of more than {HEADER:,} bytes")
        self.at = end
        return start
