"""Checks of the record and the options: nothing is sampled here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress

from pydantic import ValidationError

from latentry._specs import ALL_PROCESSES, API, SchedulerSpec
from latentry.testing._result import CheckResult
from latentry.testing._subject import Subject, in_words, split_exemption

LISTING = """
import sys
from latentry import PluginHost
host = PluginHost(load=sys.argv[3].split())
getattr(host, sys.argv[1])[sys.argv[2]]
print(" ".join(name for name in ("torch", "diffusers", "transformers") if name in sys.modules))
"""


def record_faults(spec: SchedulerSpec, checks: Container[str]) -> Iterator[str]:
    """What is wrong with a record, given the names of the checks that it may exempt itself from."""
    yield from _faults(spec)
    yield from _exemption_faults(spec, checks)


def _faults(spec: SchedulerSpec) -> Iterator[str]:
    if not spec.name or spec.name != spec.name.lower():
        yield f"the name {spec.name!r} is not in lower case"
    if "\n" in spec.summary:
        yield "the summary has more than one line"
    if spec.api[0] != API[0] or spec.api > API:
        yield f"api {spec.api} is not the core's {API}"
    if not spec.processes or spec.processes - ALL_PROCESSES:
        yield f"processes are {sorted(spec.processes)}, not some of {sorted(ALL_PROCESSES)}"
    if spec.order < 1:
        yield f"order is {spec.order}"
    if spec.variable_order is not None and not 1 <= spec.variable_order <= spec.order:
        yield f"variable_order is {spec.variable_order}, not from 1 to the order, {spec.order}"
    if spec.evaluations < 1 and not spec.adaptive:
        yield f"evaluations is {spec.evaluations}, and the scheduler is not adaptive"


def _exemption_faults(spec: SchedulerSpec, checks: Container[str]) -> Iterator[str]:
    labels = {"", "default", *(in_words(dict(case.options)) for case in spec.cases)}
    for name, reason in spec.exemptions:
        check, label = split_exemption(name)
        if check not in checks or label not in labels:
            yield f"the exemption {name!r} does not name a check of this suite and a case of this record"
        if not reason.strip():
            yield f"the exemption {name!r} has no reason"


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
    if not target.model_config.get("frozen"):
        yield "options can be changed"
    for name, field in target.model_json_schema().get("properties", {}).items():
        if "description" not in field:
            yield f"the option {name!r} has no description"
    with suppress(ValidationError):
        target.model_validate({"an_option_that_nothing_has": 1})
        yield "an unknown option is accepted"


def summed(check: str, declared: str, faults: Iterable[str]) -> CheckResult:
    """One finding of all the faults."""
    found = "; ".join(faults)
    return CheckResult(check=check, case="all", declared=declared, measured=found or "as declared", passed=not found)


def listing(subject: Subject) -> Iterator[CheckResult]:
    """Listing the plugin's records imports no heavy library.

    Troubleshooting: import the scheduler's module lazily, by ``target`` and a module ``__getattr__``, never at the top.
    """
    if not subject.installed:
        return
    owner = subject.host.schedulers.provenance(subject.installed)
    if not owner.version:
        return
    command = [sys.executable, "-c", LISTING, "schedulers", subject.spec.name, f"{owner.distribution} latentry"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    heavy = done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1]
    yield CheckResult(
        check="listing", case="all", declared="imports no torch", measured=heavy or "none", passed=not heavy
    )
