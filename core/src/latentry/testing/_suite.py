"""The checks as a pytest class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from unittest import SkipTest

from latentry._specs import SchedulerSpec
from latentry.testing._checks._all import CHECKS
from latentry.testing._result import failures
from latentry.testing._run_checks import exemptions, run_check
from latentry.testing._subject import Source, Subject


def _proves(name: str) -> Callable[[Any], None]:
    """A test method out of a check, with the check's docstring."""

    def test(self: SchedulerSuite) -> None:
        subject = self.subject()
        if reason := exemptions(name, subject.spec).get(""):
            raise SkipTest(f"exempt: {reason}")
        results = list(run_check(name, subject))
        if failed := failures(results):
            raise AssertionError(failed)
        if results and all(result.exempt for result in results):
            raise SkipTest(results[0].exempt)

    test.__name__, test.__doc__ = f"test_{name}", CHECKS[name].__doc__
    return test


class SchedulerSuite:
    """The checks of a scheduler as tests: ``class TestMine(SchedulerSuite): scheduler = "mine"``.

    Class attributes:
        scheduler: a name that is installed, a scheduler class, or a ``SchedulerSpec``.
        spec: the record of a scheduler class that is not installed.

    A check cannot be overridden. One that does not apply is exempted in the record, with a reason:
    ``SchedulerSpec(..., exemptions=(("convergence", "distilled: it has no order"),))``, or for one case only
    ``("convergence[clock=t]", "why")``.
    """

    scheduler: ClassVar[Source]
    spec: ClassVar[SchedulerSpec | None] = None
    _subject: ClassVar[Subject | None] = None

    test_spec = _proves("spec")
    test_options = _proves("options")
    test_listing = _proves("listing")
    test_evaluations = _proves("evaluations")
    test_noise = _proves("noise")
    test_off_grid = _proves("off_grid")
    test_arrival = _proves("arrival")
    test_edges = _proves("edges")
    test_stability = _proves("stability")
    test_unguided = _proves("unguided")
    test_one_answer = _proves("one_answer")
    test_model_time = _proves("model_time")
    test_coefficients = _proves("coefficients")
    test_convergence = _proves("convergence")
    test_variance = _proves("variance")
    test_clock = _proves("clock")
    test_determinism = _proves("determinism")
    test_batch = _proves("batch")
    test_resume = _proves("resume")
    test_table = _proves("table")
    test_dtypes = _proves("dtypes")
    test_host_sync = _proves("host_sync")
    test_in_place = _proves("in_place")

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        forbid_overrides(cls, SchedulerSuite, "SchedulerSpec")

    @classmethod
    def subject(cls) -> Subject:
        """The scheduler with its record, resolved once for each class."""
        if "_subject" not in vars(cls):
            cls._subject = Subject.of(cls.scheduler, spec=cls.spec)
        assert cls._subject is not None
        return cls._subject


def forbid_overrides(cls: type, suite: type, record: str) -> None:
    """Refuses a suite that overrides a check."""
    checks = [name for name in vars(suite) if name.startswith("test_")]
    changed = [name for name in checks if getattr(cls, name) is not getattr(suite, name)]
    if changed:
        raise TypeError(
            f"{cls.__name__} overrides {', '.join(changed)}. A check that does not apply is exempted in the "
            f"{record}, with a reason: exemptions=(({changed[0].removeprefix('test_')!r}, 'why'),)."
        )
