"""The conformance kit: what a scheduler, a sigma schedule or a process has to hold, and the oracles that show it.

In pytest::

    class TestMine(SchedulerSuite):
        scheduler = "mine"

or ``latentry check mine``.
"""

from __future__ import annotations

from latentry.testing._check import check_scheduler
from latentry.testing._checks import CHECKS
from latentry.testing._drive import drive
from latentry.testing._grids import check_plan, check_process, check_sigma_schedule
from latentry.testing._oracles import GaussianOracle, GuidedOracle, MixtureOracle, Oracle, SpectrumOracle
from latentry.testing._result import CheckResult
from latentry.testing._subject import Case, Subject
from latentry.testing._suite import SchedulerSuite

__all__ = [
    "CHECKS",
    "Case",
    "CheckResult",
    "GaussianOracle",
    "GuidedOracle",
    "MixtureOracle",
    "Oracle",
    "SchedulerSuite",
    "SpectrumOracle",
    "Subject",
    "check_plan",
    "check_process",
    "check_scheduler",
    "check_sigma_schedule",
    "drive",
]
