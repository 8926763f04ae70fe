"""The order of convergence of deterministic schedulers, measured."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise

import torch

from latentry._numerics._processes._process import Process
from latentry._specs import ProcessKind
from latentry.testing._networks._drive import drive
from latentry.testing._networks._oracles import MixtureOracle
from latentry.testing._networks._processes import Spacing, graded, in_lambda, in_s, plan_on, process, wavy
from latentry.testing._result import CheckResult, not_run
from latentry.testing._subject import Case, Subject

HIGH, LOW = 2.0, 0.5
"""σ/α between which orders are measured: the stretch where the mixture's shape is decided."""
EVEN, OTHER = (20, 80), (40, 160)
"""Steps on the grid even in λ and on others, where the leading error rules later: two doublings each."""
TOO_LOW, TOO_LOW_OTHER, TOO_HIGH = 0.25, 0.5, 0.6
"""How far a slope may lie under the declared order, on an even and on another grid, and over it.

Right methods of order 1 to 4 come within 0.08 on the even grid and within 0.35 on the others; a fault costs a whole
order.
"""


def convergence(subject: Subject) -> Iterator[CheckResult]:
    """The error on a Gaussian mixture falls with the declared order as steps double, on each declared process.

    Between fixed levels, on a grid even in λ, and on one process on an uneven grid too. Where the record declares a
    ``variable_order``, the best of these and of a grid even in s shows the order, and the worst shows that one.

    Troubleshooting: one order too low is mostly a wrong factor in the highest difference, or an order that is lowered
    without need; ``coefficients`` shows whether the weights are wrong. Declare an order that is higher than expected.
    """
    if subject.spec.adaptive:
        yield not_run("convergence", "it chooses its own steps, so that their number cannot be doubled")
        return
    for case in subject.cases:
        if not case.stochastic:
            yield from _slopes(case, subject.spec.processes, subject.spec.variable_order)


def _slopes(case: Case, kinds: Iterable[ProcessKind], variable_order: int | None) -> Iterator[CheckResult]:
    first, *others = (process(kind) for kind in sorted(kinds))
    even, uneven = slope(case, first, in_lambda(HIGH, LOW), EVEN), slope(case, first, wavy(HIGH, LOW), OTHER)
    best = max(even, uneven)
    if variable_order is None:
        yield _verdict(case, first, "even in λ", even, least=case.order - TOO_LOW)
        yield _verdict(case, first, "uneven", uneven, least=case.order - TOO_LOW_OTHER)
        for on in others:
            slope_there = slope(case, on, in_lambda(HIGH, LOW), EVEN)
            yield _verdict(case, on, "even in λ", slope_there, least=case.order - TOO_LOW)
    else:
        in_own = slope(case, first, in_s(HIGH, LOW), OTHER)
        best, worst = max(best, in_own), min(even, uneven, in_own)
        yield _verdict(case, first, "best", best, least=case.order - TOO_LOW)
        yield _verdict(case, first, "worst", worst, least=min(variable_order, case.order) - TOO_LOW_OTHER)
    yield _verdict(case, first, "best", best, most=case.order + TOO_HIGH)


def _verdict(
    case: Case, on: Process, grid: str, found: float, *, least: float = -math.inf, most: float = math.inf
) -> CheckResult:
    bound = f"over {least:.2f}" if most == math.inf else f"under {most:.2f}"
    return CheckResult(
        check="convergence",
        case=case.label,
        process=on.kind,
        declared=f"order {case.order}, {grid}: {bound}",
        measured=f"{found:.2f}",
        passed=least < found < most,
    )


def slope(case: Case, on: Process, spacing: Spacing, steps: tuple[int, int]) -> float:
    """The order that two errors show, against the longest interval of each grid."""
    (h_coarse, coarse), (h_fine, fine) = (error(case, on, spacing, count) for count in steps)
    return math.log(coarse / fine) / math.log(h_coarse / h_fine)


def error(case: Case, on: Process, spacing: Spacing, steps: int) -> tuple[float, float]:
    """The longest interval, as a part of the whole, and the distance of x/α from the exact path at the end."""
    places = graded(steps, case.order, math.log(HIGH / LOW))
    plan, oracle = plan_on(case.scheduler, on, [spacing(u) for u in places]), MixtureOracle()
    start, end = plan.points[0], plan.points[-1]
    x = start.alpha * starts(HIGH)
    off = drive(plan, x, oracle.answer) - oracle.path(x, start, end)
    return max(b - a for a, b in pairwise(places)), float(off.square().mean().sqrt()) / end.alpha


def starts(s: float) -> torch.Tensor:
    """(8, 2): points all around, at one to two standard deviations of noise of the level s = σ/α, as x/α."""
    return math.hypot(s, 0.8) * ring()


def ring() -> torch.Tensor:
    """(8, 2): points all around, at a distance of one to two."""
    turn = torch.arange(8, dtype=torch.float64) * 2.4
    radius = 1.0 + torch.arange(8, dtype=torch.float64) / 8
    return torch.stack((radius * turn.cos(), radius * turn.sin()), 1)
