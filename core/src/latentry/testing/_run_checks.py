"""Running the checks of schedulers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from latentry.testing._checks._all import CHECKS
from latentry.testing._kit._run import run_checks
from latentry.testing._result import CheckResult
from latentry.testing._subject import Subject


def check_scheduler(subject: Subject, checks: Iterable[str] = tuple(CHECKS)) -> Iterator[CheckResult]:
    """Runs checks and yields their findings one by one.

    Args:
        subject: the scheduler, from ``Subject.of``.
        checks: names of checks, all by default; see ``CHECKS``.
    """
    yield from run_checks(CHECKS, subject, checks)
