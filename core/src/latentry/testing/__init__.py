"""The conformance kit: checks that schedulers, sigma schedules, noise processes and attention backends do what their
records and the contract say, on networks whose right answer is known.

In pytest::

    class TestMine(SchedulerSuite):
        scheduler = "mine"

    class TestMine(AttentionSuite):
        backend = "mine"

or, for schedulers, ``latentry check mine``.

May use: ``_errors``, ``_specs``, ``_discovery``, ``_numerics``, ``_contract``, ``_attention``, ``_resolve``.
"""

from __future__ import annotations

from latentry._attention._arithmetic import EagerAttention, eager_attention
from latentry.testing._attention._all import check_attention
from latentry.testing._attention._subject import AttentionSubject
from latentry.testing._attention._suite import AttentionSuite
from latentry.testing._checks._all import CHECKS
from latentry.testing._measuring._bench import Bench, Measured, Spent
from latentry.testing._networks._drive import drive
from latentry.testing._networks._oracles import GaussianOracle, GuidedOracle, MixtureOracle, Oracle, SpectrumOracle
from latentry.testing._result import CheckResult
from latentry.testing._run_checks import check_scheduler
from latentry.testing._sigma_checks import check_plan, check_process, check_sigma_schedule
from latentry.testing._subject import Case, Subject
from latentry.testing._suite import SchedulerSuite

__all__ = [
    "CHECKS",
    "AttentionSubject",
    "AttentionSuite",
    "Bench",
    "Case",
    "CheckResult",
    "EagerAttention",
    "GaussianOracle",
    "GuidedOracle",
    "Measured",
    "MixtureOracle",
    "Oracle",
    "SchedulerSuite",
    "SpectrumOracle",
    "Spent",
    "Subject",
    "check_attention",
    "check_plan",
    "check_process",
    "check_scheduler",
    "check_sigma_schedule",
    "drive",
    "eager_attention",
]
