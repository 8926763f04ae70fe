"""What the record declares of evaluations and noise, compared with what runs do."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from latentry._numerics._plan import Plan
from latentry._numerics._processes._point import Query
from latentry.testing._checks._accuracy._arrival import descent
from latentry.testing._networks._draws import LAMS, draws
from latentry.testing._networks._drive import drive
from latentry.testing._networks._oracles import GaussianOracle
from latentry.testing._networks._processes import plan_on, process
from latentry.testing._result import CheckResult, not_run
from latentry.testing._subject import Case, Subject


def evaluations(subject: Subject) -> Iterator[CheckResult]:
    """A step takes as many evaluations as are declared, and the plan counts them right.

    Troubleshooting: ``evaluations`` is the most a step takes, under the case's options; ``plan.queries`` counts on a
    sample of zeros, so the number must not depend on the sample.
    """
    for case in subject.cases:
        finding = partial(CheckResult, check="evaluations", case=case.label)
        if subject.spec.adaptive:
            known = _plan(subject, case).evaluations
            yield finding(declared="chosen at run time", measured=f"the plan says {known}", passed=known is None)
            continue
        plans = _plan(subject, case), descent(case, process(min(subject.spec.processes)), 7)
        most = max(max(plan.evaluations_by_step or (0,)) for plan in plans)
        counted, planned = [_count(plan) for plan in plans], [plan.evaluations for plan in plans]
        yield finding(
            declared=f"{case.evaluations} a step, as planned",
            measured=f"{most} a step; {counted[0]} in 7 steps, {counted[1]} where they end at σ = 0",
            passed=most == case.evaluations and counted == planned,
        )


def noise(subject: Subject) -> Iterator[CheckResult]:
    """Noise is drawn if the record says so, and not otherwise.

    Troubleshooting: ``stochastic`` of the record speaks of the default options; give other options a ``SchedulerCase``.
    """
    for case in subject.cases:
        made = draws(case.scheduler, min(subject.spec.processes))
        yield CheckResult(
            check="noise",
            case=case.label,
            declared="stochastic" if case.stochastic else "deterministic",
            measured=f"{made} draws in 7 steps",
            passed=case.stochastic == (made > 0),
        )


def off_grid(subject: Subject) -> Iterator[CheckResult]:
    """The network is evaluated at levels between the boundaries only if the record says so.

    Troubleshooting: models that know their trained timesteps only refuse ``off_grid`` schedulers. Where it needs an
    option, give that option a ``SchedulerCase``, so that it can be seen.
    """
    if subject.spec.adaptive:
        yield not_run("off_grid", "its grid is chosen at run time, so that no boundary is known beforehand")
        return
    known = [_off_grid(_plan(subject, case)) for case in subject.cases]
    found = next((query for query in known if query), "")
    yield CheckResult(
        check="off_grid",
        case="all",
        declared="evaluates off the grid" if subject.spec.off_grid else "evaluates on the grid only",
        measured=found or "all queries lie on boundaries",
        passed=subject.spec.off_grid == bool(found),
    )


def _off_grid(plan: Plan) -> str:
    query = plan.off_grid
    if query is None:
        return ""
    return f"a query at λ = {query.point.lam:.3f} with {type(plan.scheduler).__name__} in step {query.index}"


def _plan(subject: Subject, case: Case) -> Plan:
    return plan_on(case.scheduler, process(min(subject.spec.processes)), LAMS)


def _count(plan: Plan) -> int:
    asked = 0

    def network(query: Query, plan: Plan) -> Tensor:
        nonlocal asked
        asked += 1
        return GaussianOracle().answer(query, plan)

    drive(plan, torch.ones(1, 2, dtype=torch.float64), network)
    return asked
