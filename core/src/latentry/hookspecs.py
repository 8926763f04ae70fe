"""The hooks a plugin can implement. All of them register; none is called inside a numeric loop.

A plugin is a module (or a loose file) with functions of these names, each marked ``@latentry.hookimpl`` and giving
an iterable of records. It is found through an entry point in the group ``latentry``.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

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
)

GROUP = "latentry"
"""Name of the entry-point group and of the pluggy project."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def latentry_schedulers() -> Iterable[SchedulerSpec]:  # type: ignore[empty-body]
    """Schedulers (samplers)."""


@hookspec
def latentry_sigma_schedules() -> Iterable[SigmaScheduleSpec]:  # type: ignore[empty-body]
    """Sigma schedules: where the boundaries of N steps lie."""


@hookspec
def latentry_model_families() -> Iterable[ModelFamilySpec]:  # type: ignore[empty-body]
    """Model families: architectures and how to recognise their checkpoints."""


@hookspec
def latentry_attention_backends() -> Iterable[AttentionBackendSpec]:  # type: ignore[empty-body]
    """Attention backends."""


@hookspec
def latentry_guidance() -> Iterable[GuidanceSpec]:  # type: ignore[empty-body]
    """Guidance methods: how one output is made of those with the prompt, without it, and others."""


@hookspec
def latentry_conditioners() -> Iterable[ConditionerSpec]:  # type: ignore[empty-body]
    """Kinds of network that steer a denoiser by a picture, e.g. ControlNets."""


@hookspec
def latentry_controls() -> Iterable[ControlSpec]:  # type: ignore[empty-body]
    """Named local networks that steer a model."""


@hookspec
def latentry_checkpoints() -> Iterable[CheckpointSpec]:  # type: ignore[empty-body]
    """Named local models."""


@hookspec
def latentry_model_sources() -> Iterable[ModelSourceSpec]:  # type: ignore[empty-body]
    """Places outside this machine that models come from, e.g. a hub."""


@hookspec
def latentry_commands() -> Iterable[CommandSpec]:  # type: ignore[empty-body]
    """Sub-commands of ``latentry``."""


@hookspec
def latentry_executors() -> Iterable[ExecutorSpec]:  # type: ignore[empty-body]
    """Where batches are drawn, e.g. on several machines."""
