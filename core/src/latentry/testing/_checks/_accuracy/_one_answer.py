"""The same problem on every process and with every prediction type."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import Tensor

from latentry._numerics._plan import Plan
from latentry._numerics._processes._point import Query
from latentry._numerics._processes._prediction import Prediction
from latentry.testing._checks._accuracy._convergence import starts
from latentry.testing._networks._drive import Network, drive
from latentry.testing._networks._oracles import MixtureOracle, Oracle
from latentry.testing._networks._processes import NATURAL, process
from latentry.testing._result import CheckResult
from latentry.testing._subject import Case, Subject

LEVELS = (8.0, 4.0, 2.2, 1.1, 0.5, 0.2, 0.05, 0.0)
"""σ/α of the boundaries."""
FORMS = {
    "vp": (Prediction.EPSILON, Prediction.V, Prediction.X0),
    "flow": (Prediction.FLOW, Prediction.EPSILON, Prediction.X0),
    "edm": (Prediction.EDM, Prediction.EPSILON, Prediction.X0),
}
NEAR = 1e-9
TRAINED = (8.0, 4.1, 2.2, 1.1, 0.5, 0.2)
"""Boundaries within the trained range of every process, none of them at a whole timestep."""
NEAR_IN_TIME = 1e-8
"""A timestep gives its level to about 1e-12; a rounded timestep is off by 1e-4 and more."""


def one_answer(subject: Subject) -> Iterator[CheckResult]:
    """The same levels σ/α, start and noise give the same x/α, whatever the process and the prediction type.

    Troubleshooting: a step must use ``lam``, ``s`` and the coefficients of points; ``timestep`` belongs to the network,
    and a formula in σ alone means σ/α on one process and σ on the other.
    """
    for case in subject.cases:
        answers = {
            f"{kind}/{form}": _solve(case, kind, form)
            for kind in sorted(subject.spec.processes)
            for form in FORMS[kind]
        }
        (first, wanted), *others = answers.items()
        size = float(wanted.abs().max())
        off = {name: float((got - wanted).abs().max()) / size for name, got in others}
        worst = max(off, key=lambda name: (math.isnan(off[name]), off[name]), default=first)
        found = off.get(worst, 0.0)
        yield CheckResult(
            check="one_answer",
            case=case.label,
            process="all",
            declared=f"as {first} to {NEAR:g}",
            measured=f"{found:.1e} ({worst})",
            passed=found <= NEAR,
        )


def model_time(subject: Subject) -> Iterator[CheckResult]:
    """The network gets x of a level and that level's own timestep, whole or not.

    Answers computed from the timestep and the input alone, as a network's are, lead to the same result as those of
    an oracle that knows the level.

    Troubleshooting: query with ``point.query(x)``, where x has the level of that point; never round ``timestep``.
    """
    oracle = MixtureOracle()
    for case in subject.cases:
        for kind in sorted(subject.spec.processes):
            on = process(kind)
            plan = Plan(case.scheduler, on, NATURAL[kind], tuple(on.at(s=s) for s in TRAINED))
            x = plan.points[0].alpha * starts(TRAINED[0])
            by_level, by_time = (drive(plan, x, network, seed=3) for network in (oracle.answer, _from_time(oracle)))
            off = float((by_time - by_level).abs().max() / by_level.abs().max())
            yield CheckResult(
                check="model_time",
                case=case.label,
                process=kind,
                declared="the timestep of the level",
                measured=f"off by {off:.1e}",
                passed=off <= NEAR_IN_TIME,
            )


def _from_time(oracle: Oracle) -> Network:
    def network(query: Query, plan: Plan) -> Tensor:
        level = plan.process.at(timestep=query.timestep)
        return oracle.output(query.input / level.scale, level, plan.prediction, plan.process.data_std)

    return network


def _solve(case: Case, kind: str, form: Prediction) -> Tensor:
    on = process(kind)  # type: ignore[arg-type]
    plan = Plan(case.scheduler, on, form, tuple(on.at(s=s) for s in LEVELS))
    return drive(plan, plan.points[0].alpha * starts(LEVELS[0]), MixtureOracle().answer, seed=3)
