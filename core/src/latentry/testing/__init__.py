"""The conformance kit: checks that plugins of every kind do what their records and the contract say.

In pytest::

    class TestMine(SchedulerSuite):
        scheduler = "mine"

    class TestMyFamily(FamilySuite):
        family = "mine"

or ``latentry check mine``. ``KITS`` holds the checks by kind. A check is a function that yields what it found, and
works from what the record declares; schedulers are checked on networks whose right answer is known.

May use: ``_errors``, ``_specs``, ``_discovery``, ``_numerics``, ``_contract``, ``_request``, ``_files``, ``_memory``,
``_attention``, ``_conditioning``, ``_guidance``, ``_resolve``, ``_generate``, ``_batch``.
"""

from __future__ import annotations

from latentry._attention._arithmetic import EagerAttention, eager_attention
from latentry.testing._attention._all import check_attention
from latentry.testing._attention._subject import AttentionSubject
from latentry.testing._attention._suite import AttentionSuite
from latentry.testing._checks._all import CHECKS
from latentry.testing._family._subject import FamilySubject
from latentry.testing._family._suite import FamilySuite
from latentry.testing._kinds import KITS, Kit, kinds_of
from latentry.testing._measuring._bench import Bench, Measured, Spent
from latentry.testing._networks._drive import drive
from latentry.testing._networks._oracles import GaussianOracle, GuidedOracle, MixtureOracle, Oracle, SpectrumOracle
from latentry.testing._plain._checkpoints import CheckpointSuite
from latentry.testing._plain._commands import CommandSuite
from latentry.testing._plain._conditioners import ConditionerSubject, ConditionerSuite, Pair
from latentry.testing._plain._controls import ControlSuite
from latentry.testing._plain._executors import ExecutorSuite
from latentry.testing._plain._guidance import GuidanceSubject, GuidanceSuite
from latentry.testing._plain._model_sources import ModelSourceSuite
from latentry.testing._plain._subject import PlainSubject
from latentry.testing._result import CheckResult
from latentry.testing._run_checks import check_scheduler
from latentry.testing._sigma._checks import check_plan, check_process, check_sigma_schedule
from latentry.testing._sigma._subject import SigmaSubject
from latentry.testing._sigma._suite import SigmaScheduleSuite
from latentry.testing._subject import Case, Subject
from latentry.testing._suite import SchedulerSuite

__all__ = [
    "CHECKS",
    "KITS",
    "AttentionSubject",
    "AttentionSuite",
    "Bench",
    "Case",
    "CheckResult",
    "CheckpointSuite",
    "CommandSuite",
    "ConditionerSubject",
    "ConditionerSuite",
    "ControlSuite",
    "EagerAttention",
    "ExecutorSuite",
    "FamilySubject",
    "FamilySuite",
    "GaussianOracle",
    "GuidanceSubject",
    "GuidanceSuite",
    "GuidedOracle",
    "Kit",
    "Measured",
    "MixtureOracle",
    "ModelSourceSuite",
    "Oracle",
    "Pair",
    "PlainSubject",
    "SchedulerSuite",
    "SigmaScheduleSuite",
    "SigmaSubject",
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
    "kinds_of",
]
