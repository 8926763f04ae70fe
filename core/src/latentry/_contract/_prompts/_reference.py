"""A picture that a network is shown beside its prompt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Reference:
    """A picture that a network is shown beside its prompt, at its own size. Equal for equal pixels.

    Attributes:
        digest: sha256 of its size and pixels.
        picture: RGB.
    """

    digest: str
    picture: Image = field(compare=False, repr=False)
