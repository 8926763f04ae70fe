"""The noise processes that schedulers are checked on, and plans on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from latentry._numerics._plan import Plan
from latentry._numerics._processes._edm import EDM
from latentry._numerics._processes._flow import Flow
from latentry._numerics._processes._prediction import Prediction
from latentry._numerics._processes._process import Process
from latentry._numerics._processes._variance_preserving import VariancePreserving
from latentry._numerics._scheduler import Scheduler
from latentry._specs import ProcessKind

NATURAL = {"vp": Prediction.V, "flow": Prediction.FLOW, "edm": Prediction.EDM}
"""The prediction type that is defined at both ends of each process."""


def process(kind: ProcessKind) -> Process:
    """Stable Diffusion's table, a rectified flow, or EDM."""
    if kind == "vp":
        return VariancePreserving.from_betas()
    return Flow() if kind == "flow" else EDM()


def plan_on(scheduler: Scheduler, on: Process, lams: Sequence[float], prediction: Prediction | None = None) -> Plan:
    """A plan between levels given by λ."""
    return Plan(scheduler, on, prediction or NATURAL[on.kind], tuple(on.at(lam=lam) for lam in lams))


def graded(steps: int, order: int, span: float) -> list[float]:
    """Boundaries from 0 to 1, evenly spaced inside and finer towards both ends.

    A multistep method starts with a step of order 1, and may end with one, whose error of the size h² hides any order
    above 2. Here the outermost intervals have the length h^((order + 1)/2), so that this error is one order below the
    method's own; from there each interval is at most twice its neighbour, which a method on variable grids must bear.
    With order 1 the grid is even.

    Args:
        steps: of the even part.
        order: the order to be shown.
        span: length of the whole in the solver's variable, so that h is in its units.
    """
    h = span / steps
    ratio = h ** ((order - 1) / 2)
    count = max(0, math.ceil(-math.log2(ratio))) if ratio < 1 else 0
    start = [ratio ** ((count - i) / count) for i in range(count)]
    lengths = [*start, *[1.0] * steps, *start[::-1]]
    total, at, boundaries = math.fsum(lengths), 0.0, [0.0]
    for length in lengths:
        at += length
        boundaries.append(at / total)
    return boundaries


Spacing = Callable[[float], float]


def in_lambda(high: float, low: float) -> Spacing:
    """Even in λ, from σ/α = ``high`` to ``low``."""
    return lambda u: -math.log(high) + u * math.log(high / low)


def in_s(high: float, low: float) -> Spacing:
    """Even in s = σ/α."""
    return lambda u: -math.log(high + u * (low - high))


def wavy(high: float, low: float) -> Spacing:
    """Neither: neighbouring intervals differ smoothly, up to twofold over the whole."""
    even = in_lambda(high, low)
    return lambda u: even(u + 0.06 * math.sin(2 * math.pi * u))
