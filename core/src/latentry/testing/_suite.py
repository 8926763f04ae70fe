"""The checks of schedulers as a pytest class."""

from __future__ import annotations

from typing import ClassVar

from latentry._specs import SchedulerSpec
from latentry.testing._checks._all import CHECKS
from latentry.testing._kit._suite import Suite
from latentry.testing._subject import Source, Subject


class SchedulerSuite(Suite, checks=CHECKS):
    """The checks of a scheduler as tests: ``class TestMine(SchedulerSuite): scheduler = "mine"``.

    Class attributes:
        scheduler: a name that is installed, a scheduler class, or a ``SchedulerSpec``.
        spec: the record of a scheduler class that is not installed.

    An exemption can be for one case only: ``("convergence[clock=t]", "why")``.
    """

    RECORD = "SchedulerSpec"
    scheduler: ClassVar[Source]
    spec: ClassVar[SchedulerSpec | None] = None

    @classmethod
    def _resolved(cls) -> Subject:
        return Subject.of(cls.scheduler, spec=cls.spec)
