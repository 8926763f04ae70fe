"""The suites' checks by kind, for whatever checks a record by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from latentry._discovery import PluginHost
from latentry._specs import CheckpointSpec, CommandSpec, ControlSpec, ExecutorSpec, ModelSourceSpec
from latentry.testing._attention._all import CHECKS as ATTENTION
from latentry.testing._attention._subject import AttentionSubject
from latentry.testing._checks._all import CHECKS as SCHEDULERS
from latentry.testing._family._all import CHECKS as FAMILIES
from latentry.testing._family._subject import FamilySubject
from latentry.testing._kit._checked import Checks
from latentry.testing._kit._run import run_check
from latentry.testing._plain._checkpoints import CHECKS as CHECKPOINTS
from latentry.testing._plain._commands import CHECKS as COMMANDS
from latentry.testing._plain._conditioners import CHECKS as CONDITIONERS
from latentry.testing._plain._conditioners import ConditionerSubject
from latentry.testing._plain._controls import CHECKS as CONTROLS
from latentry.testing._plain._executors import CHECKS as EXECUTORS
from latentry.testing._plain._guidance import CHECKS as GUIDANCE
from latentry.testing._plain._guidance import GuidanceSubject
from latentry.testing._plain._model_sources import CHECKS as MODEL_SOURCES
from latentry.testing._plain._subject import PlainSubject
from latentry.testing._result import CheckResult
from latentry.testing._sigma._all import CHECKS as SIGMAS
from latentry.testing._sigma._subject import SigmaSubject
from latentry.testing._subject import Subject


@dataclass(frozen=True)
class Kit:
    """The checks of a kind of record.

    Attributes:
        checks: by name.
        subject: makes what they are given out of a name; takes ``host``, and ``options`` where ``takes_options``.
        takes_options: whether the kind has options to be checked under.
    """

    checks: Checks[Any]
    subject: Callable[..., Any]
    takes_options: bool = False

    def run(self, subject: Any, check: str) -> Iterator[CheckResult]:
        """The findings of one check."""
        return run_check(self.checks, check, subject)


KITS: Mapping[str, Kit] = MappingProxyType(
    {
        "schedulers": Kit(SCHEDULERS, Subject.of, takes_options=True),
        "sigma_schedules": Kit(SIGMAS, SigmaSubject.of, takes_options=True),
        "families": Kit(FAMILIES, FamilySubject.of),
        "attention_backends": Kit(ATTENTION, AttentionSubject.of, takes_options=True),
        "guidance": Kit(GUIDANCE, GuidanceSubject.of, takes_options=True),
        "conditioners": Kit(CONDITIONERS, ConditionerSubject.of),
        "controls": Kit(CONTROLS, partial(PlainSubject.of, kind=ControlSpec)),
        "checkpoints": Kit(CHECKPOINTS, partial(PlainSubject.of, kind=CheckpointSpec)),
        "model_sources": Kit(MODEL_SOURCES, partial(PlainSubject.of, kind=ModelSourceSpec)),
        "commands": Kit(COMMANDS, partial(PlainSubject.of, kind=CommandSpec)),
        "executors": Kit(EXECUTORS, partial(PlainSubject.of, kind=ExecutorSpec)),
    }
)
"""By the host's attribute that holds the records."""


def kinds_of(host: PluginHost, name: str) -> tuple[str, ...]:
    """The kinds of which a name, an alias or a qualified name is registered."""
    return tuple(attribute for attribute in KITS if name in getattr(host, attribute))
