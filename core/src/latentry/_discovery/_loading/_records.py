"""Checks of the records that plugins register."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import singledispatch
from typing import Any, get_args

from latentry._discovery._kinds import Kind, S
from latentry._errors import PluginError
from latentry._specs import (
    AttentionBackendSpec,
    BranchKind,
    CheckpointSpec,
    ConditionerSpec,
    ControlSpec,
    Evidence,
    GuidanceKind,
    GuidanceSpec,
    ModelFamilySpec,
    ModelSourceSpec,
    ProcessKind,
    SchedulerSpec,
    SigmaPreference,
    SigmaScheduleSpec,
    Spec,
    StepCacheKind,
    VariantSpec,
)

NAME = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")
ALIAS = re.compile(r"[^\s:,]+")
TARGET = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")
DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
QUALIFIED = re.compile(r"[a-z0-9][a-z0-9._-]*:[a-z0-9_-]+")


def check_type(kind: Kind[S], record: object) -> S:
    """The record, known to be of the hook's type."""
    if not isinstance(record, kind.record):
        raise PluginError(
            f"hook '{kind.hook}' yields {type(record).__name__} instead of {kind.record.__name__}.",
            why=f"It yields {record!r:.80}.",
        )
    return record


def check_record(kind: Kind[S], spec: S) -> None:
    """Raises a ``PluginError`` about the first thing in a record that cannot be right."""
    fault = next(_faults(kind, spec), "")
    if fault:
        raise PluginError(f"the {kind.noun} {spec.name!r} cannot be registered: {fault}.")


def _faults(kind: Kind[Any], spec: Spec) -> Iterator[str]:
    """What any record can have wrong, then what only its own class can."""
    if not (isinstance(spec.name, str) and NAME.fullmatch(spec.name)):
        yield "its name must be lower-case letters and digits, joined by single dashes or underscores"
    if not isinstance(spec.aliases, tuple):
        yield f"its aliases must be a tuple, not {type(spec.aliases).__name__}"
    for alias in spec.aliases:
        if not (isinstance(alias, str) and ALIAS.fullmatch(alias)):
            yield f"its alias {alias!r} is empty or contains a space, a colon or a comma"
    if not isinstance(spec.moved_from, tuple) or not all(map(_is_distribution, spec.moved_from)):
        yield f"moved_from must be a tuple of names of distributions, not {spec.moved_from!r}"
    if taken := kind.reserved & {spec.name, *spec.aliases}:
        yield f"the core has a {kind.noun} '{min(taken)}' of its own"
    for field in spec.TARGETS:
        yield from _target_faults(field, getattr(spec, field), required=field in ("target", "detector"))
    if not (isinstance(spec.summary, str) and spec.summary.strip() and "\n" not in spec.summary):
        yield "its summary must be one line of text"
    yield from _own_faults(spec)


def _is_distribution(name: object) -> bool:
    return isinstance(name, str) and DISTRIBUTION.fullmatch(name) is not None


@singledispatch
def _own_faults(spec: Spec) -> Iterator[str]:
    """What a record's class says beyond ``Spec``; a class without an entry here has nothing more to check."""
    yield from ()


@_own_faults.register
def _(spec: SchedulerSpec) -> Iterator[str]:
    yield from _choice_faults("processes", spec.processes, ProcessKind, empty=spec.unlisted)
    if not (spec.sigmas and all(isinstance(preference, SigmaPreference) for preference in spec.sigmas)):
        yield "its sigmas must be one or more SigmaPreference"
    for preference in spec.sigmas:
        yield from _reference_faults("preferred sigma schedule", preference.name)
    if spec.order < 1 or spec.evaluations < 0:
        yield "its order must be at least 1 and its evaluations at least 0"
    for row in spec.evidence:
        if not (
            isinstance(row, Evidence) and row.errors and all(steps >= 1 and off > 0.0 for steps, off in row.errors)
        ):
            yield "its evidence must be Evidence, with errors above 0 for numbers of steps"
    if spec.guard_since is not None and spec.guard_since > spec.revision:
        yield "guard_since must not be a later revision than its own"


@_own_faults.register
def _(spec: SigmaScheduleSpec) -> Iterator[str]:
    yield from _process_faults(spec.processes)


@_own_faults.register
def _(spec: ModelFamilySpec) -> Iterator[str]:
    yield from _process_faults(frozenset({spec.process}))
    yield from _choice_faults("branches", spec.branches, BranchKind, empty=True)
    yield from _choice_faults("step_caches", spec.step_caches, StepCacheKind, empty=True)
    if not (spec.variants and all(isinstance(variant, VariantSpec) for variant in spec.variants)):
        yield "its variants must be one or more VariantSpec"
    for variant in spec.variants:
        for name in variant.schedulers:
            yield from _reference_faults("preferred scheduler", name)


@_own_faults.register
def _(spec: AttentionBackendSpec) -> Iterator[str]:
    if not (spec.devices and spec.dtypes):
        yield "it must name the devices and the dtypes it serves"


@_own_faults.register
def _(spec: GuidanceSpec) -> Iterator[str]:
    yield from _choice_faults("branches", spec.branches, BranchKind, empty=True)
    yield from _choice_faults("scaled_branches", spec.scaled_branches, BranchKind, empty=True)
    yield from _choice_faults("kinds", spec.kinds, GuidanceKind)
    if spec.guidance is not None and spec.largest is not None and spec.guidance > spec.largest:
        yield "the guidance scale that suits it must be at most its largest"


@_own_faults.register
def _(spec: ConditionerSpec) -> Iterator[str]:
    if not spec.families:
        yield "it must name the model families that it steers"
    for name in spec.families:
        yield from _reference_faults("family", name)


@_own_faults.register
def _(spec: ControlSpec) -> Iterator[str]:
    yield from _reference_faults("conditioner", spec.conditioner)
    if spec.model:
        yield from _reference_faults("model", spec.model)


@_own_faults.register
def _(spec: CheckpointSpec) -> Iterator[str]:
    yield from _reference_faults("family", spec.family)


@_own_faults.register
def _(spec: ModelSourceSpec) -> Iterator[str]:
    if not (isinstance(spec.names, str) and spec.names.strip()):
        yield "it must say in words what its names look like"


def _target_faults(field: str, target: object, *, required: bool) -> Iterator[str]:
    if target == "" and not required:
        return
    if not (isinstance(target, str) and TARGET.fullmatch(target)):
        yield f"its {field} must be written package.module:attribute, not {target!r}"


def _reference_faults(field: str, name: object) -> Iterator[str]:
    """A preference names its distribution too, so that nobody can take it over."""
    if not (isinstance(name, str) and QUALIFIED.fullmatch(name)):
        yield f"its {field} must be written distribution:name, not {name!r}"


def _process_faults(processes: object) -> Iterator[str]:
    yield from _choice_faults("processes", processes, ProcessKind)


def _choice_faults(field: str, chosen: object, choices: Any, *, empty: bool = False) -> Iterator[str]:
    """What is wrong with a set of words, each one of a literal's."""
    known = set(get_args(choices))
    if not (isinstance(chosen, frozenset) and (chosen or empty) and chosen <= known):
        yield f"its {field} must be a frozenset of {', '.join(sorted(known))}, not {chosen!r}"
