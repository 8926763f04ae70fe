"""The plugins that take part in a request."""

from __future__ import annotations

from typing import Any

from latentry._attention._choice import ChosenAttention
from latentry._discovery import PluginHost, Registry
from latentry._files._locate import Located
from latentry._request._recipe import UNVERSIONED, Ingredient
from latentry._resolve._plan import Way


def ingredients(host: PluginHost, located: Located, way: Way, attention: ChosenAttention) -> dict[str, Ingredient]:
    """By role; several attention backends are ``attention``, ``attention 2`` and so on, each with why it was taken."""
    roles: list[tuple[str, Registry[Any], str | None]] = [
        ("scheduler", host.schedulers, way.scheduler.name),
        ("sigmas", host.sigma_schedules, way.sigmas.name),
        ("family", host.families, located.family),
        ("checkpoint", host.checkpoints, located.name if located.checkpoint else None),
    ]
    made = {role: _ingredient(registry, name) for role, registry, name in roles if name is not None}
    for number, (name, why) in enumerate(attention.reasons.items(), start=1):
        role = "attention" if number == 1 else f"attention {number}"
        made[role] = _ingredient(host.attention_backends, name).model_copy(update={"why": why})
    return made


def _ingredient(registry: Registry[Any], name: str) -> Ingredient:
    owner = registry.provenance(name)
    return Ingredient(
        name=registry.qualified(name),
        distribution=owner.distribution,
        version=owner.version or UNVERSIONED,
        revision=getattr(registry[name], "revision", None),
    )
