"""Measures schedulers under their own defaults, by the number of evaluations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from latentry._discovery import PluginHost
from latentry._numerics._processes._process import Process
from latentry._specs import ProcessKind
from latentry.testing._checks._accuracy._convergence import EVEN, HIGH, LOW, OTHER, slope
from latentry.testing._checks._variance import weak_order
from latentry.testing._default_plans import affordable
from latentry.testing._kit._run import exemptions
from latentry.testing._measuring._ddim_steps import DDIMSteps
from latentry.testing._measuring._result_errors import ResultError, path_errors, variance_errors
from latentry.testing._networks._processes import in_lambda, in_s, process
from latentry.testing._subject import Subject

EVALUATIONS = (5, 8, 10, 20, 40)


@dataclass(frozen=True, kw_only=True)
class Spent:
    """The errors after a given number of evaluations.

    Attributes:
        evaluations: how many there were to spend.
        steps: the most steps that take no more.
        sigmas: the sigma schedule they were laid out on.
        errors: by oracle.
        ddim_steps: from how many steps on DDIM has no higher error, by oracle; 5 for fewer too, None for more than 250.
    """

    evaluations: int
    steps: int
    sigmas: str
    errors: Mapping[str, float]
    ddim_steps: Mapping[str, int | None]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A scheduler on one noise process.

    Attributes:
        process: the noise process.
        error: what the errors are of: the end of the exact ``path``, or the ``variance`` of stochastic schedulers.
        order: measured order of convergence, weak order where stochastic; None if it has none.
        spent: for 5, 8, 10, 20 and 40 evaluations, as far as it can be laid out in them.
    """

    process: ProcessKind
    error: str
    order: float | None
    spent: tuple[Spent, ...]


class Bench:
    """The oracles, with what was found out on them: one serves any number of schedulers.

    Args:
        host: where sigma schedules and DDIM come from.
    """

    def __init__(self, host: PluginHost) -> None:
        self._host = host
        self._measures = {"path": path_errors(), "variance": variance_errors()}
        self._ddim = {
            (error, oracle): DDIMSteps(host, measure)
            for error, measures in self._measures.items()
            for oracle, measure in measures.items()
        }

    def measure(self, name: str) -> Iterator[Measured]:
        """The scheduler of that name on each of its noise processes, as soon as it is measured."""
        subject = Subject.of(name, host=self._host)
        error = "variance" if subject.cases[0].stochastic else "path"
        for kind in sorted(subject.spec.processes):
            on = process(kind)
            spent = tuple(self._spend(subject, error, on))
            yield Measured(process=kind, error=error, order=measured_order(subject, on), spent=spent)

    def _spend(self, subject: Subject, error: str, on: Process) -> Iterator[Spent]:
        measures: Mapping[str, ResultError] = self._measures[error]
        for evaluations in EVALUATIONS:
            laid_out = affordable(subject, evaluations, on)
            if laid_out is None:
                continue
            plan, sigmas = laid_out
            errors = {oracle: measure(plan) for oracle, measure in measures.items()}
            yield Spent(
                evaluations=evaluations,
                steps=len(plan),
                sigmas=sigmas.name,
                errors=errors,
                ddim_steps={oracle: self._ddim[error, oracle].steps(off, on) for oracle, off in errors.items()},
            )


def measured_order(subject: Subject, on: Process) -> float | None:
    """As the checks measure it; the best of their grids where the record declares another order on some."""
    case, spec = subject.cases[0], subject.spec
    exempt = exemptions("variance" if case.stochastic else "convergence", spec)
    if spec.adaptive or {"", case.label} & exempt.keys():
        return None
    if case.stochastic:
        return weak_order(case, on)
    even = slope(case, on, in_lambda(HIGH, LOW), EVEN)
    return even if spec.variable_order is None else max(even, slope(case, on, in_s(HIGH, LOW), OTHER))
