"""The checks of sigma schedules, in the order they are run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import product
from types import MappingProxyType
from typing import get_args

import torch
from pydantic import ValidationError

from latentry._errors import IncompatibleError, LatentryError
from latentry._numerics._processes._process import Process
from latentry._specs import ALL_PROCESSES, ProcessKind
from latentry.testing._kit._checked import Checks
from latentry.testing._kit._record import listing_of, record_faults, summed
from latentry.testing._networks._processes import process
from latentry.testing._result import CheckResult
from latentry.testing._sigma._checks import STEPS, level_findings, shift_findings
from latentry.testing._sigma._subject import SigmaSubject

Check = Callable[[SigmaSubject], Iterable[CheckResult]]


def spec(subject: SigmaSubject) -> Iterator[CheckResult]:
    """The record's fields are sane, and its processes are those of the class.

    Troubleshooting: ``processes`` in the record and ``kinds`` in the class name the same noise processes; the record is
    what decides before anything is loaded.
    """
    yield summed("spec", "a sane record", _record_faults(subject))


def _record_faults(subject: SigmaSubject) -> Iterator[str]:
    yield from record_faults(subject.spec, CHECKS)
    if not subject.spec.processes or subject.spec.processes - ALL_PROCESSES:
        yield f"processes are {sorted(subject.spec.processes)}, not some of {sorted(ALL_PROCESSES)}"
    if subject.spec.processes != subject.target.kinds:
        yield f"processes are {sorted(subject.spec.processes)}, and the class's kinds {sorted(subject.target.kinds)}"


def options(subject: SigmaSubject) -> Iterator[CheckResult]:
    """Options are a frozen model that refuses unknown names, describes its fields and has a default for each.

    Troubleshooting: keep ``SigmaSchedule.model_config`` as it is, and give each field a type, a default and a
    description.
    """
    yield summed("options", "frozen, closed, described, with defaults", _option_faults(subject))


def _option_faults(subject: SigmaSubject) -> Iterator[str]:
    if not subject.target.model_config.get("frozen"):
        yield "options can be changed"
    for name, field in subject.target.model_fields.items():
        if not field.description:
            yield f"the option {name!r} has no description"
        if field.is_required() and name not in subject.options:
            yield f"the option {name!r} has no default"
    with suppress(ValidationError):
        subject.target.model_validate({**subject.options, "an_option_that_nothing_has": 1})
        yield "an unknown option is accepted"


def listing(subject: SigmaSubject) -> Iterator[CheckResult]:
    """Listing the plugin's records imports no heavy library.

    Troubleshooting: import torch in the module that ``target`` names, never in the plugin's ``__init__.py``.
    """
    yield from listing_of(subject)


def levels(subject: SigmaSubject) -> Iterator[CheckResult]:
    """N steps get N levels of the process, from pure noise or less down to above σ = 0, each below the last.

    Troubleshooting: make every level with ``process.at(...)`` from s = σ/α, λ or a timestep; ``levels`` gives where
    steps start, and the plan adds where the last one ends.
    """
    if not any(_laid_out(subject)):
        yield CheckResult(check="levels", declared="10 steps on a declared process", measured="refused", passed=False)
    for kind in sorted(subject.spec.processes):
        yield from level_findings(subject.schedule, process(kind))


def shift(subject: SigmaSubject) -> Iterator[CheckResult]:
    """A time shift by k multiplies σ/α of every level by k, once.

    Troubleshooting: the base class applies the shift to what ``levels`` returns: a rule must not do it again.
    """
    for on in _laid_out(subject):
        yield from shift_findings(subject.schedule, on)


def numbers(subject: SigmaSubject) -> Iterator[CheckResult]:
    """Levels are Python floats: a plan computes with them on the host.

    Troubleshooting: turn what numpy or torch gives into ``float(...)`` before it goes into ``process.at(...)``.
    """
    for on in _laid_out(subject):
        points = subject.schedule.points(10, on)
        fields = ("lam", "alpha", "sigma", "timestep")
        odd = {type(getattr(point, name)).__name__ for point, name in product(points, fields)} - {"float"}
        yield CheckResult(
            check="numbers",
            process=on.kind,
            declared="float",
            measured=", ".join(sorted(odd or {"float"})),
            passed=not odd,
        )


def repeatable(subject: SigmaSubject) -> Iterator[CheckResult]:
    """The same steps on the same process give the same levels, whatever was laid out before; nothing is drawn.

    Troubleshooting: keep nothing between calls, in the object, the class or the module, and draw no random numbers.
    """
    for on in _laid_out(subject):
        yield summed("repeatable", "the same levels each time", _changes(subject, on))


def _changes(subject: SigmaSubject, on: Process) -> Iterator[str]:
    kept = subject.schedule
    first = kept.points(10, on)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(1)
        before = torch.get_rng_state()
        for steps in STEPS:
            with suppress(LatentryError):
                kept.points(steps, on)
        again = kept.points(10, on)
        if not torch.equal(before, torch.get_rng_state()):
            yield "it draws from torch's global generator"
    if again != first:
        yield "the same object gave other levels after other numbers of steps"
    if subject.schedule.points(10, on) != first:
        yield "another object with the same options gave other levels"


def elsewhere(subject: SigmaSubject) -> Iterator[CheckResult]:
    """On a noise process that it does not declare, a schedule is refused.

    Troubleshooting: leave ``SigmaSchedule.points`` as it is; it refuses what ``kinds`` does not name.
    """
    for kind in get_args(ProcessKind):
        if kind in subject.spec.processes:
            continue
        try:
            subject.schedule.points(10, process(kind))
            found = "laid out"
        except IncompatibleError:
            found = "refused"
        yield CheckResult(
            check="elsewhere", process=kind, declared="refused", measured=found, passed=found == "refused"
        )


def _laid_out(subject: SigmaSubject) -> Iterator[Process]:
    """The declared processes that these options are for: a table may be for some of them."""
    for kind in sorted(subject.spec.processes):
        with suppress(IncompatibleError):
            subject.schedule.points(10, process(kind))
            yield process(kind)


_ALL: tuple[Check, ...] = (spec, options, listing, levels, shift, numbers, repeatable, elsewhere)
CHECKS: Checks[SigmaSubject] = MappingProxyType({check.__name__: check for check in _ALL})
