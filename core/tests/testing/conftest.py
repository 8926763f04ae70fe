"""What the tests of the kit share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from latentry import Scheduler, SchedulerSpec
from latentry.testing import Subject, check_scheduler

Failed = Callable[..., set[str]]


@pytest.fixture(scope="session")
def failed() -> Failed:
    """The names of the checks that a scheduler class fails; fields of its record by keyword."""

    def failed(target: type[Scheduler], *checks: str, **record: Any) -> set[str]:
        spec = SchedulerSpec(name="planted", target=f"{target.__module__}:{target.__qualname__}", summary="", **record)
        subject = Subject.of(target, spec=spec)
        results = check_scheduler(subject, checks) if checks else check_scheduler(subject)
        return {result.check for result in results if not result.passed}

    return failed
