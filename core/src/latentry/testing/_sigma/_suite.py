"""The checks of sigma schedules as a pytest class."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from latentry._specs import SigmaScheduleSpec
from latentry.testing._kit._suite import Suite
from latentry.testing._sigma._all import CHECKS
from latentry.testing._sigma._subject import SigmaSource, SigmaSubject


class SigmaScheduleSuite(Suite, checks=CHECKS):
    """The checks of a sigma schedule as tests: ``class TestMine(SigmaScheduleSuite): schedule = "mine"``.

    Class attributes:
        schedule: a name that is installed, a class, or a ``SigmaScheduleSpec``.
        spec: the record of a class that is not installed.
        options: of the schedule.
    """

    RECORD = "SigmaScheduleSpec"
    schedule: ClassVar[SigmaSource]
    spec: ClassVar[SigmaScheduleSpec | None] = None
    options: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    @classmethod
    def _resolved(cls) -> SigmaSubject:
        return SigmaSubject.of(cls.schedule, spec=cls.spec, options=cls.options)
