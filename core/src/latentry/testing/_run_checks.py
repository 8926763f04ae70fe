"""Running checks on a scheduler."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from dataclasses import replace

from latentry._errors import PluginError
from latentry._specs import SchedulerSpec
from latentry.testing._checks._all import CHECKS
from latentry.testing._result import CheckResult
from latentry.testing._subject import Subject, split_exemption

MARK = "Troubleshooting: "


def check_scheduler(subject: Subject, checks: Iterable[str] = tuple(CHECKS)) -> Iterator[CheckResult]:
    """Runs checks and yields their findings one by one.

    Args:
        subject: the scheduler, from ``Subject.of``.
        checks: names of checks, all by default; see ``CHECKS``.
    """
    for name in checks:
        yield from run_check(name, subject)


def run_check(name: str, subject: Subject) -> Iterator[CheckResult]:
    """One check's findings. An exemption is a finding too; a check that raises is a failed finding."""
    exempt = exemptions(name, subject.spec)
    for label, reason in exempt.items():
        yield CheckResult(check=name, case=label or "all", declared="exempt", measured="not run", exempt=reason)
    rest = replace(subject, cases=tuple(case for case in subject.cases if case.label not in exempt))
    if "" in exempt or not rest.cases:
        return
    help_text = hint(name)
    try:
        for result in CHECKS[name](rest):
            yield replace(result, hint=result.hint or help_text)
    except PluginError as error:  # its first line only says whose fault it is
        yield CheckResult(check=name, declared="runs", measured=error.why or error.what, passed=False, hint=help_text)
    except Exception as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        yield CheckResult(check=name, declared="runs", measured=what, passed=False, hint=help_text)


def exemptions(name: str, spec: SchedulerSpec) -> dict[str, str]:
    """The record's reasons for leaving a check out, by case; the empty label stands for all cases."""
    named = ((*split_exemption(check), reason) for check, reason in spec.exemptions)
    return {label: reason for check, label, reason in named if check == name}


def hint(name: str) -> str:
    """The part of a check's docstring after ``Troubleshooting:``."""
    text = inspect.getdoc(CHECKS[name]) or ""
    return " ".join(text.partition(MARK)[2].split())
