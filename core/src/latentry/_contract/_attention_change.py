"""Attention of a picture to itself that is changed in some blocks of a network, for guidance away from the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class AttentionChange:
    """What becomes of the attention of a picture to itself.

    Attributes:
        blocks: where, counted from 0 in the order of their use; empty for the family's choice, the middle.
        blur: standard deviation in tokens of the Gaussian that the queries are blurred with over the picture, ∞ for
            their mean; None has each token attend to itself alone, so that attention gives the values back.
    """

    blocks: tuple[int, ...] = ()
    blur: float | None = None


@runtime_checkable
class ChangesAttention(Protocol):
    """A checkpoint whose model's ``predict`` takes an ``attention: AttentionChange``. Optional for a family.

    It is only given where the family's ``branches`` say so, and where attention is served by backends.
    """

    @property
    def attention_blocks(self) -> int:
        """How many blocks a change may choose from."""
        ...
