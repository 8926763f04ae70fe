"""Running checks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from latentry._errors import PluginError
from latentry._specs import Spec
from latentry.testing._kit._checked import C, Checks, split_exemption
from latentry.testing._result import CheckResult

MARK = "Troubleshooting: "


def run_checks(checks: Checks[C], subject: C, names: Iterable[str] | None = None) -> Iterator[CheckResult]:
    """The findings of some checks of a subject, or of all, one by one."""
    for name in checks if names is None else names:
        yield from run_check(checks, name, subject)


def run_check(checks: Checks[C], name: str, subject: C) -> Iterator[CheckResult]:
    """One check's findings. An exemption is a finding too; a check that raises is a failed finding."""
    exempt = exemptions(name, subject.spec)
    for label, reason in exempt.items():
        yield CheckResult(check=name, case=label or "all", declared="exempt", measured="not run", exempt=reason)
    rest = None if "" in exempt else subject.without(exempt)
    if rest is None:
        return
    help_text = hint(checks[name])
    try:
        for result in checks[name](rest):
            yield replace(result, hint=result.hint or help_text)
    except PluginError as error:  # its first line only says whose fault it is
        yield CheckResult(check=name, declared="runs", measured=error.why or error.what, passed=False, hint=help_text)
    except Exception as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        yield CheckResult(check=name, declared="runs", measured=what, passed=False, hint=help_text)


def exemptions(name: str, spec: Spec) -> dict[str, str]:
    """The record's reasons for leaving a check out, by case; the empty label stands for all cases."""
    named = ((*split_exemption(check), reason) for check, reason in spec.exemptions)
    return {label: reason for check, label, reason in named if check == name}


def hint(check: Callable[..., Any]) -> str:
    """The part of a check's docstring after ``Troubleshooting:``."""
    return " ".join((inspect.getdoc(check) or "").partition(MARK)[2].split())
