"""The plugins that take part in a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from latentry._attention._choice import ChosenAttention
from latentry._discovery import PluginHost, Registry
from latentry._files._finding._locate import Located
from latentry._request._recipe import UNVERSIONED, UsedPlugin
from latentry._resolve._added._controls import ChosenControl
from latentry._resolve._guiding._guidance_method import ChosenMethod
from latentry._resolve._plan import LaidOut


def plugins_used(
    host: PluginHost,
    located: Located,
    laid_out: LaidOut,
    method: ChosenMethod,
    attention: ChosenAttention,
    controls: Sequence[ChosenControl],
) -> dict[str, UsedPlugin]:
    """By role; several attention backends are ``attention``, ``attention 2`` and so on, each with why it was taken.

    Several kinds of conditioner are numbered likewise.
    """
    roles: list[tuple[str, Registry[Any], str | None]] = [
        ("scheduler", host.schedulers, laid_out.scheduler.name if laid_out.scheduler else None),
        ("sigmas", host.sigma_schedules, laid_out.sigmas.name if laid_out.sigmas else None),
        ("guidance", host.guidance, method.name),
        ("family", host.families, located.family),
        ("checkpoint", host.checkpoints, located.name if located.checkpoint else None),
    ]
    used = {role: _used(registry, name) for role, registry, name in roles if name is not None}
    for number, (name, why) in enumerate(attention.reasons.items(), start=1):
        role = "attention" if number == 1 else f"attention {number}"
        used[role] = _used(host.attention_backends, name).model_copy(update={"why": why})
    for number, name in enumerate(dict.fromkeys(control.found.kind for control in controls), start=1):
        used["conditioner" if number == 1 else f"conditioner {number}"] = _used(host.conditioners, name)
    return used


def _used(registry: Registry[Any], name: str) -> UsedPlugin:
    owner = registry.provenance(name)
    return UsedPlugin(
        name=registry.qualified(name),
        distribution=owner.distribution,
        version=owner.version or UNVERSIONED,
        revision=getattr(registry[name], "revision", None),
    )
