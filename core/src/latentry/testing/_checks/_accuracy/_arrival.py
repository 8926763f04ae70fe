"""Arrival at σ = 0."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import torch

from latentry._numerics._plan import Plan
from latentry._numerics._processes._process import Process
from latentry.testing._networks._drive import drive
from latentry.testing._networks._oracles import GaussianOracle
from latentry.testing._networks._processes import NATURAL, process
from latentry.testing._result import CheckResult
from latentry.testing._subject import Case, Subject

STEPS = (1, 2, 10)
NEAR = 1e-12


def arrival(subject: Subject) -> Iterator[CheckResult]:
    """A run that ends at σ = 0 ends at exactly x₀, without a rest of noise, from finite noise and from pure noise.

    Troubleshooting: where ``interval.end.sigma`` is 0 return ``denoised.at(interval.end)``; guard every product with
    ``h``, which is infinite there and where α = 0 (``interval.singular``).
    """
    for case in subject.cases:
        for kind in sorted(subject.spec.processes):
            for name, on in _starting(kind):
                yield _arrives(case, name, on)


def _starting(kind: str) -> Iterator[tuple[str, Process]]:
    on = process(kind)  # type: ignore[arg-type]
    yield (f"{kind}, from α = 0" if kind == "flow" else kind), on
    if kind == "vp":
        yield "vp, zero terminal SNR", on.zero_terminal_snr()  # type: ignore[attr-defined]


def _arrives(case: Case, name: str, on: Process) -> CheckResult:
    value = torch.tensor([[0.7, -1.3, 0.0]], dtype=torch.float64)
    oracle = GaussianOracle(value, 0.0)
    off: dict[str, float] = {}
    for steps, start in product(STEPS, (1.0, -2.0)):
        plan = descent(case, on, steps)
        x = plan.points[0].alpha * value + plan.points[0].sigma * start
        off[f"{steps} steps"] = float((drive(plan, x, oracle.answer, seed=steps) - value).abs().max())
        if not off[f"{steps} steps"] <= NEAR:
            break
    where = max(off, key=lambda steps: (math.isnan(off[steps]), off[steps]))
    return CheckResult(
        check="arrival",
        case=case.label,
        process=name,
        declared="x₀ exactly, whatever the start, in 1, 2 and 10 steps",
        measured="x₀" if off[where] <= NEAR else f"off by {off[where]:.1e} in {where}",
        passed=off[where] <= NEAR,
    )


def descent(case: Case, on: Process, steps: int) -> Plan:
    """From the noisiest level to σ = 0, even in the angle atan2(σ, α), which is finite at both ends."""
    top = math.atan2(on.noisiest.sigma, on.noisiest.alpha)
    angles = [top * (1 - i / steps) for i in range(1, steps)]
    inner = (on.at(s=math.tan(angle)) for angle in angles)
    return Plan(case.scheduler, on, NATURAL[on.kind], (on.noisiest, *inner, on.clean()))
