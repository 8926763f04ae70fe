"""Step caches: at some evaluations a part of the network is not run, and what it would give is made of earlier ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from latentry._specs import StepCacheKind

DEFAULTS: dict[StepCacheKind, float] = {"first-block": 0.1, "taylor": 3, "deep": 3}
"""What the number of a kind is where none is given."""
ORDERS: dict[StepCacheKind, int] = {"first-block": 0, "taylor": 1, "deep": 0}
"""Of the polynomial in the timestep that goes through earlier values."""
MOST = 1000
"""One of so many evaluations is computed at least."""


@dataclass(frozen=True)
class StepCache:
    """A way to leave out a part of the network.

    Attributes:
        kind: ``first-block``: all but a transformer's first block, whose output says whether they are run; ``taylor``:
            the same part, at fixed evaluations, extrapolated; ``deep``: a UNet's lower levels, at fixed evaluations.
        number: ``first-block``: the part is left out where the first block's residual has changed by less than this
            share since it was last run; the others: the part is run at one of so many evaluations.
    """

    kind: StepCacheKind
    number: float

    @classmethod
    def parse(cls, text: str) -> StepCache:
        """Reads ``KIND`` or ``KIND:NUMBER``.

        Raises:
            ValueError: it is something else.
        """
        name, separator, number = text.partition(":")
        kinds: tuple[StepCacheKind, ...] = get_args(StepCacheKind)
        kind = next((kind for kind in kinds if kind == name), None)
        if kind is None:
            raise ValueError(f"it must begin with {', '.join(kinds[:-1])} or {kinds[-1]}, and is {text[:40]!r}")
        try:
            value = float(number) if separator else DEFAULTS[kind]
        except ValueError:
            raise ValueError(f"it must be {kind}:NUMBER, and is {text[:40]!r}") from None
        if kind == "first-block" and not 0.0 < value < 1.0:
            raise ValueError("the number of first-block must be between 0 and 1: the change that is tolerated")
        if kind != "first-block" and not (2 <= value <= MOST and value == int(value)):
            raise ValueError(f"the number of {kind} must be whole, from 2 to {MOST}: one of so many is computed")
        return cls(kind, value)

    @property
    def text(self) -> str:
        """What ``parse`` reads, with its number."""
        return f"{self.kind}:{self.number:g}"

    @property
    def order(self) -> int:
        """Of the extrapolation."""
        return ORDERS[self.kind]

    @property
    def by_change(self) -> bool:
        """Whether the network's own values decide what is computed, and not a count."""
        return self.kind == "first-block"

    def counted(self, evaluation: int) -> bool:
        """Whether an evaluation is computed, where a count decides: the first ones, and then one of every so many."""
        return evaluation <= self.order or (evaluation - self.order) % int(self.number) == 0
