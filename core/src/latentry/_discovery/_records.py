"""Is a record fit to be registered?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_args

from latentry._discovery._kinds import Kind, S
from latentry._errors import PluginError
from latentry._specs import (
    AttentionBackendSpec,
    CheckpointSpec,
    ModelFamilySpec,
    ProcessKind,
    SchedulerSpec,
    SigmaPreference,
    SigmaScheduleSpec,
    Spec,
    VariantSpec,
)

NAME = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")
ALIAS = re.compile(r"[^\s:,]+")
TARGET = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")
QUALIFIED = re.compile(r"[a-z0-9][a-z0-9._-]*:[a-z0-9_-]+")


def check_type(kind: Kind[S], record: object) -> S:
    """The record, known to be of the hook's type."""
    if not isinstance(record, kind.record):
        raise PluginError(
            f"hook '{kind.hook}' yields {type(record).__name__} where {kind.record.__name__} is due.",
            why=f"It yields {record!r:.80}.",
        )
    return record


def check_record(kind: Kind[S], spec: S) -> None:
    """Raise on the first thing in a record that cannot be right."""
    fault = next(_faults(spec), "")
    if fault:
        raise PluginError(f"{kind.noun} {spec.name!r} is not accepted: {fault}.")


def _faults(spec: Spec) -> Iterator[str]:
    if not (isinstance(spec.name, str) and NAME.fullmatch(spec.name)):
        yield "a name is lower case letters and digits, joined by single dashes or underscores"
    if not isinstance(spec.aliases, tuple):
        yield f"aliases are a tuple, and this is {type(spec.aliases).__name__}"
    for alias in spec.aliases:
        if not (isinstance(alias, str) and ALIAS.fullmatch(alias)):
            yield f"alias {alias!r} is empty or has a space, colon or comma"
    yield from _target_faults("target", spec.target)
    if not (isinstance(spec.summary, str) and spec.summary.strip() and "\n" not in spec.summary):
        yield "its summary is one line of text"
    match spec:
        case SchedulerSpec():
            yield from _scheduler_faults(spec)
        case SigmaScheduleSpec():
            yield from _process_faults(spec.processes)
        case ModelFamilySpec():
            yield from _family_faults(spec)
        case AttentionBackendSpec():
            if not (spec.devices and spec.dtypes):
                yield "it names the devices and the dtypes it serves"
        case CheckpointSpec():
            yield from _reference_faults("family", spec.family)


def _target_faults(field: str, target: object) -> Iterator[str]:
    if not (isinstance(target, str) and TARGET.fullmatch(target)):
        yield f"its {field} is written package.module:attribute, and this is {target!r}"


def _reference_faults(field: str, name: object) -> Iterator[str]:
    """A preference names its distribution too, so that nobody can take it over."""
    if not (isinstance(name, str) and QUALIFIED.fullmatch(name)):
        yield f"its {field} is written distribution:name, and this is {name!r}"


def _process_faults(processes: object) -> Iterator[str]:
    known = set(get_args(ProcessKind))
    if not (isinstance(processes, frozenset) and processes and processes <= known):
        yield f"its processes are a frozenset of {', '.join(sorted(known))}, and this is {processes!r}"


def _scheduler_faults(spec: SchedulerSpec) -> Iterator[str]:
    yield from _process_faults(spec.processes)
    if not (spec.sigmas and all(isinstance(preference, SigmaPreference) for preference in spec.sigmas)):
        yield "its sigmas are one or more SigmaPreference"
    for preference in spec.sigmas:
        yield from _reference_faults("preferred sigma schedule", preference.name)
    if spec.order < 1 or spec.evaluations < 0:
        yield "its order is at least 1 and its evaluations are at least 0"


def _family_faults(spec: ModelFamilySpec) -> Iterator[str]:
    yield from _target_faults("detector", spec.detector)
    yield from _process_faults(frozenset({spec.process}))
    if not (spec.variants and all(isinstance(variant, VariantSpec) for variant in spec.variants)):
        yield "its variants are one or more VariantSpec"
    for variant in spec.variants:
        for name in variant.schedulers:
            yield from _reference_faults("preferred scheduler", name)
