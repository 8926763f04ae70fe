"""Schedulers that need the output without guidance besides the guided one, such as CFG++."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from latentry._numerics._plan import Plan
from latentry.testing._checks._accuracy._arrival import descent
from latentry.testing._networks._oracles import GaussianOracle
from latentry.testing._networks._processes import process
from latentry.testing._result import CheckResult
from latentry.testing._subject import Subject

STEPS = 4
NEAR = 1e-9


def unguided(subject: Subject) -> Iterator[CheckResult]:
    """The sample follows x₀ of the guided output and ends there; the unguided output counts on the way.

    Both networks know data that is one point, each another one. Moving the guided point by 1 must move the sample the
    same way at every level and by 1 at σ = 0, where moving the unguided one has no effect. CFG++ (Chung et al. 2024,
    arXiv:2406.08070, eq. 11) takes x₀ from the guided and the noise from the unguided output.

    Troubleshooting: ``denoised.x0`` is of the guided and ``denoised.uncond.eps`` of the unguided output. Where the
    unguided output is not used, leave ``needs`` empty: it costs an evaluation.
    """
    if "uncond" not in subject.target.needs:
        return
    for case in subject.cases:
        for kind in sorted(subject.spec.processes):
            plan = descent(case, process(kind), STEPS)
            still, by_guided, by_unguided = (_samples(plan, *points) for points in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)))
            faults = list(_faults((by_guided - still).tolist(), (by_unguided - still).tolist()))
            yield CheckResult(
                check="unguided",
                case=case.label,
                process=kind,
                declared="x₀ from the guided output, and both are used",
                measured="; ".join(faults) or "as declared",
                passed=not faults,
            )


def _faults(guided: list[float], unguided: list[float]) -> Iterator[str]:
    """What is wrong with how much the samples at the boundaries move with either network's point."""
    if any(moved <= 0.0 for moved in guided):
        yield f"the sample moves against the guided x₀ (by {min(guided):.2f})"
    if abs(guided[-1] - 1.0) > NEAR or abs(unguided[-1]) > NEAR:
        yield f"at σ = 0 it moves by {guided[-1]:.2f} with the guided x₀ and by {unguided[-1]:.2f} with the unguided"
    if all(abs(moved) < NEAR for moved in unguided):
        yield "the unguided output has no effect"


def _samples(plan: Plan, guided: float, unguided: float) -> Tensor:
    """(steps,): the sample at each boundary after the first, where the two networks know these points."""
    run = plan.start(torch.full((1, 1), 0.3, dtype=torch.float64), seed=5)
    found: list[Tensor] = []
    while (query := run.query) is not None:
        outputs = (GaussianOracle(point, 0.0).answer(query, plan) for point in (guided, unguided))
        run.advance(next(outputs), uncond=next(outputs))
        if run.index > query.index:
            found.append(run.sample.flatten())
    return torch.cat(found)
