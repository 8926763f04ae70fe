"""The kinds of record a host collects: one line each. ``docs/plugin-kinds.md`` says how another is added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from latentry._specs import (
    AttentionBackendSpec,
    CheckpointSpec,
    CommandSpec,
    ConditionerSpec,
    ControlSpec,
    ExecutorSpec,
    GuidanceSpec,
    ModelFamilySpec,
    ModelSourceSpec,
    SchedulerSpec,
    SigmaScheduleSpec,
    Spec,
)

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True)
class Kind(Generic[S]):
    """A kind of record.

    Attributes:
        attribute: the host's attribute that holds the records.
        hook: the hook that yields them.
        record: their class.
        noun: what messages call one.
        reserved: names that the core itself uses, and that no plugin can take.
    """

    attribute: str
    hook: str
    record: type[S]
    noun: str
    reserved: frozenset[str] = frozenset()


CORE_COMMANDS = frozenset(
    {
        *(
            "attention",
            "batch",
            "check",
            "completion",
            "conditioners",
            "config",
            "controls",
            "convert",
            "doctor",
            "families",
            "generate",
            "guidance",
            "inspect",
        ),
        *("matrix", "models", "plan", "plugins", "schedulers", "schema", "show", "sigmas"),
    }
)
"""The sub-commands that ``latentry`` has without plugins."""

SCHEDULERS = Kind("schedulers", "latentry_schedulers", SchedulerSpec, "scheduler")
SIGMA_SCHEDULES = Kind("sigma_schedules", "latentry_sigma_schedules", SigmaScheduleSpec, "sigma schedule")
FAMILIES = Kind("families", "latentry_model_families", ModelFamilySpec, "model family")
ATTENTION_BACKENDS = Kind(
    "attention_backends", "latentry_attention_backends", AttentionBackendSpec, "attention backend"
)
GUIDANCE = Kind("guidance", "latentry_guidance", GuidanceSpec, "guidance method")
CONDITIONERS = Kind("conditioners", "latentry_conditioners", ConditionerSpec, "conditioner")
CONTROLS = Kind("controls", "latentry_controls", ControlSpec, "control")
CHECKPOINTS = Kind("checkpoints", "latentry_checkpoints", CheckpointSpec, "model")
MODEL_SOURCES = Kind("model_sources", "latentry_model_sources", ModelSourceSpec, "model source")
COMMANDS = Kind("commands", "latentry_commands", CommandSpec, "command", CORE_COMMANDS)
EXECUTORS = Kind("executors", "latentry_executors", ExecutorSpec, "executor")

KINDS: tuple[Kind[Any], ...] = (
    SCHEDULERS,
    SIGMA_SCHEDULES,
    FAMILIES,
    ATTENTION_BACKENDS,
    GUIDANCE,
    CONDITIONERS,
    CONTROLS,
    CHECKPOINTS,
    MODEL_SOURCES,
    COMMANDS,
    EXECUTORS,
)
