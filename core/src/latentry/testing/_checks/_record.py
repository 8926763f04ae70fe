"""Checks of the record and the options: nothing is sampled here."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import suppress

from pydantic import ValidationError

from latentry._numerics._solvers._guard import Guarded
from latentry._specs import ALL_PROCESSES, SchedulerSpec
from latentry.testing._kit._record import listing_of, record_faults, summed
from latentry.testing._result import CheckResult
from latentry.testing._subject import Subject, in_words


def scheduler_faults(spec: SchedulerSpec, checks: Container[str]) -> Iterator[str]:
    """What is wrong with a record, given the names of the checks that it may exempt itself from."""
    yield from record_faults(spec, checks, {"", "default", *(in_words(dict(case.options)) for case in spec.cases)})
    if not spec.processes or spec.processes - ALL_PROCESSES:
        yield f"processes are {sorted(spec.processes)}, not some of {sorted(ALL_PROCESSES)}"
    if spec.order < 1:
        yield f"order is {spec.order}"
    if spec.variable_order is not None and not 1 <= spec.variable_order <= spec.order:
        yield f"variable_order is {spec.variable_order}, not from 1 to the order, {spec.order}"
    if spec.evaluations < 1 and not spec.adaptive:
        yield f"evaluations is {spec.evaluations}, and the scheduler is not adaptive"


def options(subject: Subject) -> Iterator[CheckResult]:
    """Options are a frozen model that refuses unknown names and describes its fields; flags agree with the record.

    Troubleshooting: keep ``Scheduler.model_config`` as it is, give each field a type and a description, and set
    ``adaptive`` and ``needs`` both in the class and in the record.
    """
    yield summed("options", "frozen, closed, described; flags as in the record", _option_faults(subject))


def _option_faults(subject: Subject) -> Iterator[str]:
    target = subject.target
    for name in ("adaptive", "needs"):
        declared, actual = getattr(subject.spec, name), getattr(target, name)
        if declared != actual:
            yield f"{name} is {actual} in the class and {declared} in the record"
    if issubclass(target, Guarded) != (subject.spec.guard_since is not None):
        yield "guard_since is for classes that inherit from Guarded, and for all of them"
    if not target.model_config.get("frozen"):
        yield "options can be changed"
    for name, field in target.model_json_schema().get("properties", {}).items():
        if "description" not in field:
            yield f"the option {name!r} has no description"
    with suppress(ValidationError):
        target.model_validate({"an_option_that_nothing_has": 1})
        yield "an unknown option is accepted"


def listing(subject: Subject) -> Iterator[CheckResult]:
    """Listing the plugin's records imports no heavy library.

    Troubleshooting: import the scheduler's module lazily, by ``target`` and a module ``__getattr__``, never at the top.
    """
    yield from listing_of(subject)
