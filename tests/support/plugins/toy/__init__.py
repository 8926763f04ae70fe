"""A loose plugin for the tests: two families without networks, schedulers, guidance, and attention backends of every
temper.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from latentry import (
    AttentionBackendSpec,
    CheckpointSpec,
    GuidanceSpec,
    ModelFamilySpec,
    ProcessKind,
    SchedulerSpec,
    SigmaPreference,
    VariantSpec,
    hookimpl,
)

_TRAILING = (SigmaPreference("latentry:trailing", final="table"),)


@hookimpl
def latentry_model_families() -> Iterable[ModelFamilySpec]:
    """Checkpoints are folders with a ``toy.json``."""
    kinds: tuple[ProcessKind, ...] = ("vp", "flow")
    for kind in kinds:
        yield ModelFamilySpec(
            name=f"toy-{kind}",
            target="toy.model:open_checkpoint",
            detector=f"toy.model:detect_{kind}",
            summary="draws one colour for each prompt",
            process=kind,
            variants=(
                VariantSpec(
                    name="small",
                    summary="For a test.",
                    schedulers=("latentry-absent:absent", "toy:first", "toy:noisy"),
                    steps=6,
                    guidance=2.0,
                ),
                VariantSpec(name="lonely", summary="For a test.", schedulers=("latentry-absent:absent",)),
                *_others(),
            ),
        )


def _others() -> Iterable[VariantSpec]:
    """Variants that are for other tasks, or guided in other ways."""
    about: dict[str, Any] = {"summary": "For a test.", "schedulers": ("toy:first",), "steps": 6}
    yield VariantSpec(name="drawer", **about, tasks=("text-to-image",))
    yield VariantSpec(name="finisher", **about, tasks=("image-to-image",))
    yield VariantSpec(name="painter", **about, tasks=("inpainting",))
    yield VariantSpec(name="fast", **about, guidance_kind="none", guidance=1.0)
    yield VariantSpec(name="told", **about, guidance_kind="distilled", guidance=3.5)
    yield VariantSpec(name="layered", **about, skip_layers=True)
    yield VariantSpec(name="shown", **about, references=2)


@hookimpl
def latentry_schedulers() -> Iterable[SchedulerSpec]:
    """Those of ``support.toys``, and one for flow models only."""
    toys = {"first": "First", "two-stage": "Heun", "noisy": "Noisy", "halving": "Halving", "greedy": "Greedy"}
    for name, target in toys.items():
        yield SchedulerSpec(name=name, target=f"support.toys:{target}", summary="For a test.", sigmas=_TRAILING)
    yield SchedulerSpec(
        name="flow-only",
        target="support.toys:First",
        summary="For a test.",
        processes=frozenset({"flow"}),
        guidance=0.7,
        sigmas=_TRAILING,
    )
    yield SchedulerSpec(
        name="by-steps",
        target="support.toys:First",
        summary="For a test.",
        sigmas=(
            SigmaPreference("latentry:leading", options=(("offset", 3),), max_steps=5),
            SigmaPreference("latentry:linspace", final="table"),
        ),
    )


@hookimpl
def latentry_attention_backends() -> Iterable[AttentionBackendSpec]:
    """One that can, one that cannot, one that fails, one for other hardware."""
    for name, rank, device in (
        ("able", 1, "cpu"),
        ("unable", 50, "cpu"),
        ("broken", 60, "cpu"),
        ("distant", 70, "cuda"),
    ):
        yield AttentionBackendSpec(
            name=name,
            target=f"toy.attention:{name.capitalize()}",
            summary="For a test.",
            devices=frozenset({device}),
            dtypes=frozenset({"float32"}),
            rank=rank,
        )


@hookimpl
def latentry_guidance() -> Iterable[GuidanceSpec]:
    """Those of ``support.toy_guidance``."""
    yield GuidanceSpec(
        name="carrying",
        target="support.toy_guidance:Carrying",
        summary="For a test.",
        memory=True,
        guidance=2.5,
        largest=9,
    )
    yield GuidanceSpec(
        name="apart",
        target="support.toy_guidance:Apart",
        summary="For a test.",
        branches=frozenset({"weak-model"}),
    )
    yield GuidanceSpec(
        name="beside",
        target="support.toy_guidance:Beside",
        summary="For a test.",
        kinds=frozenset({"distilled", "none"}),
        neutral=None,
    )


@hookimpl
def latentry_checkpoints() -> Iterable[CheckpointSpec]:
    """One that lost its files."""
    yield CheckpointSpec(
        name="lost",
        target="toy.model:lost",
        summary="For a test.",
        family="toy:toy-vp",
        variant="small",
        size=32,
        licence="Apache-2.0",
    )
