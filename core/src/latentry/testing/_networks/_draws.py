"""How often a scheduler draws noise."""

from __future__ import annotations

import torch
from torch import Tensor

from latentry._numerics._running._noise import Clock, KeyedNoise
from latentry._numerics._scheduler import Scheduler
from latentry._specs import ProcessKind
from latentry.testing._networks._drive import drive
from latentry.testing._networks._oracles import GaussianOracle
from latentry.testing._networks._processes import plan_on, process

LAMS = (-1.5, -1.0, -0.6, -0.1, 0.3, 0.9, 1.4, 2.0)
"""The boundaries of seven uneven steps."""


def draws(scheduler: Scheduler, kind: ProcessKind = "vp") -> int:
    """How many draws of noise seven steps make."""
    made, keyed = 0, KeyedNoise(0)

    def source(like: Tensor, interval: int, draw: int, clock: Clock | None) -> Tensor:
        nonlocal made
        made += 1
        return keyed(like, interval, draw)

    x = torch.ones(1, 2, dtype=torch.float64)
    drive(plan_on(scheduler, process(kind), LAMS), x, GaussianOracle().answer, noise=source)
    return made
