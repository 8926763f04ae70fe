"""What the header of a file says of a tensor."""

from __future__ import annotations

from typing import NamedTuple


class TensorHeader(NamedTuple):
    """What a file says of a tensor.

    Attributes:
        dtype: in the format's own spelling, e.g. ``F16`` or ``Q8_0``.
        shape: shape of the values, even where they are stored packed.
        size: bytes in the file.
    """

    dtype: str
    shape: tuple[int, ...]
    size: int
