"""What earlier requests found out, so that requests of one kind need not find it again."""

from __future__ import annotations

from dataclasses import dataclass, field

from latentry._resolve._planning._known_plans import KnownPlans
from latentry._resolve._useless._known_idle import KnownIdle


@dataclass(frozen=True)
class Known:
    """What is remembered from one request to the next.

    Attributes:
        plans: laid out.
        idle: options without effect.
    """

    plans: KnownPlans = field(default_factory=KnownPlans)
    idle: KnownIdle = field(default_factory=KnownIdle)
