"""The weights of deterministic schedulers, measured on answers that are given beforehand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import accumulate, cycle, islice

import torch

from latentry._specs import ProcessKind
from latentry.testing._networks._drive import evaluate, trace
from latentry.testing._networks._given_answers import COLUMNS, HIGH, LOW, Given, GivenEps, GivenX0
from latentry.testing._networks._processes import in_lambda, in_s, plan_on, process
from latentry.testing._result import CheckResult, not_run
from latentry.testing._subject import Case, Subject

STEPS = (80, 160)
TOO_LOW = 0.25
"""How far a slope may lie under its order: right methods come within 0.1, a fault costs a whole order."""
ROUGH = (1.0, 1.3, 0.8, 1.15, 0.75)
"""Lengths of neighbouring intervals, repeated: no smooth map makes such a grid even."""


def coefficients(subject: Subject) -> Iterator[CheckResult]:
    """On answers that are given functions of λ, as x₀ and as ε, the defect falls with the declared order.

    The answers are polynomials that vanish at both ends, so that a low-order start or end has no part in the defect:
    what is left is the weights. The whole defect must be of the declared order, and the defect of each step of one
    order more, except where the next step revises it (a corrector). The grid is irregular. A method with a
    ``variable_order`` is measured on the better of two even grids instead.

    Troubleshooting: compare the weights with the paper's at unequal steps: a step ratio upside down and a halved
    highest difference both show here. Fixed weights need ``variable_order``.
    """
    if subject.spec.adaptive:
        yield not_run("coefficients", "it chooses its own steps, so that no grid can be given to it")
        return
    if subject.target.whole:
        yield not_run("coefficients", "its loop holds the sample, so that none of its steps can be begun from another")
        return
    even = subject.spec.variable_order is not None
    grids = {"even in λ": spaced_lambda, "even in s": spaced_s} if even else {"irregular": rough}
    kind = min(subject.spec.processes)
    for case in subject.cases:
        for oracle in () if case.stochastic else (GivenX0(), GivenEps()):
            slopes = {name: _slopes(case, kind, oracle, grid) for name, grid in grids.items()}
            name = max(slopes, key=lambda grid: min(slopes[grid]))
            whole, each = slopes[name]
            revised = _revises(case, kind, oracle)
            yield CheckResult(
                check="coefficients",
                case=case.label,
                process=kind,
                declared=f"order {case.order}" + ("" if revised else f", {case.order + 1} in a step"),
                measured=f"{whole:.2f}, {each:.2f} in a step ({oracle.quantity} given, {name})",
                passed=whole > case.order - TOO_LOW and (revised or each > case.order + 1 - TOO_LOW),
            )


def _slopes(case: Case, kind: ProcessKind, oracle: Given, grid: Callable[[int], list[float]]) -> tuple[float, float]:
    """Orders of the whole defect and of the largest one of a step."""
    (whole, each), (whole_fine, each_fine) = (_defects(case, kind, oracle, grid(steps)) for steps in STEPS)
    return math.log2(whole / whole_fine), math.log2(each / each_fine)


def _defects(case: Case, kind: ProcessKind, oracle: Given, lams: list[float]) -> tuple[float, float]:
    """The defect at the end, and the largest by which a step adds to it, both in the units in which it then stays."""
    plan = plan_on(case.scheduler, process(kind), lams)
    start = torch.full((1, COLUMNS), 0.5, dtype=torch.float64)
    samples = trace(plan.start(start), oracle.answer)
    units = torch.tensor([[oracle.unit(point)] for point in plan.points], dtype=torch.float64)
    off = torch.cat(samples) / units - oracle.along(start, plan.points)
    return float(off[-1].norm()), float(off.diff(dim=0).norm(dim=1).max())


def _revises(case: Case, kind: ProcessKind, oracle: Given) -> bool:
    """Whether a step starts from another sample than the one it is given, as a corrector does."""
    plan = plan_on(case.scheduler, process(kind), spaced_lambda(8))
    run = plan.start(torch.full((1, COLUMNS), 0.5, dtype=torch.float64))
    while run.index < 4:
        evaluate(run, oracle.answer)
    ends = []
    for moved in (0.0, 1.0):
        again = plan.resume(run.state())
        again.replace(again.sample + moved)
        while again.index < 5:
            evaluate(again, oracle.answer)
        ends.append(again.sample)
    kept = oracle.unit(plan.points[5]) / oracle.unit(plan.points[4])
    return float((ends[1] - ends[0]).mean()) < 0.75 * kept


def rough(steps: int) -> list[float]:
    """λ of an irregular grid."""
    lengths = list(islice(cycle(ROUGH), steps))
    total, to_lam = math.fsum(lengths), in_lambda(HIGH, LOW)
    return [to_lam(min(at / total, 1.0)) for at in accumulate(lengths, initial=0.0)]


def spaced_lambda(steps: int) -> list[float]:
    """λ of a grid even in λ."""
    to_lam = in_lambda(HIGH, LOW)
    return [to_lam(i / steps) for i in range(steps + 1)]


def spaced_s(steps: int) -> list[float]:
    """λ of a grid even in s = σ/α."""
    to_lam = in_s(HIGH, LOW)
    return [to_lam(i / steps) for i in range(steps + 1)]
