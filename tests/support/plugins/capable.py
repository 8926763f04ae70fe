"""A loose plugin for the tests: a scheduler for each thing that a record can declare."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from latentry import SchedulerSpec, hookimpl


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """Some fit some models, and some fit none."""
    declared: dict[str, tuple[str, dict[str, Any]]] = {
        "vp-only": ("First", {"processes": frozenset({"vp"})}),
        "flow-only": ("First", {"processes": frozenset({"flow"})}),
        "edm-only": ("First", {"processes": frozenset({"edm"})}),
        "two-stage": ("Heun", {"evaluations": 2, "off_grid": True}),
        "adaptive": ("Halving", {"evaluations": 0, "adaptive": True, "stochastic": True}),
        "unguided-too": ("Greedy", {"needs": frozenset({"uncond"})}),
        "demanding": ("Greedy", {"needs": frozenset({"uncond", "attention-maps"})}),
    }
    for name, (target, declares) in declared.items():
        yield SchedulerSpec(name=name, target=f"support.toys:{target}", summary="For a test.", **declares)
