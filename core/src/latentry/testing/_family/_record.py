"""Checks of the record and of its conditioning options: nothing is computed here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from typing import get_args

from pydantic import BaseModel, ValidationError

from latentry._specs import ModelFamilySpec, ProcessKind, Task, VariantSpec
from latentry.testing._family._subject import FamilySubject
from latentry.testing._kit._checked import load_target
from latentry.testing._kit._record import listing_of, record_faults, summed
from latentry.testing._result import CheckResult, not_run


def family_faults(spec: ModelFamilySpec, checks: Container[str]) -> Iterator[str]:
    """What is wrong with a record, given the names of the checks that it may exempt itself from."""
    yield from record_faults(spec, checks)
    if spec.process not in get_args(ProcessKind):
        yield f"process is {spec.process!r}"
    counts = Counter(variant.name for variant in spec.variants)
    yield from (f"there are {count} variants {name!r}" for name, count in counts.items() if count > 1)
    for variant in spec.variants:
        yield from (f"the variant {variant.name}: {fault}" for fault in _variant_faults(variant))


def _variant_faults(variant: VariantSpec) -> Iterator[str]:
    if not variant.schedulers:
        yield "no scheduler is preferred"
    if not variant.tasks or set(variant.tasks) - set(get_args(Task)):
        yield f"tasks are {variant.tasks}, not some of {get_args(Task)}"
    if variant.steps < 1:
        yield f"steps is {variant.steps}"
    if variant.guidance_kind == "none" and variant.guidance != 1.0:
        yield f"guidance is {variant.guidance:g}, but guidance_kind says that it knows none: 1"
    if not variant.summary.strip():
        yield "the summary is empty"


def listing(subject: FamilySubject) -> Iterator[CheckResult]:
    """Listing the plugin's records imports no heavy library.

    Troubleshooting: import torch, diffusers and transformers in the modules that ``target`` and ``conditioning`` name.
    """
    yield from listing_of(subject)


def conditioning(subject: FamilySubject) -> Iterator[CheckResult]:
    """The conditioning options are a frozen, hashable model that refuses unknown names and describes its fields.

    Troubleshooting: ``model_config = ConfigDict(frozen=True, extra="forbid")``, and a default and a description each.
    """
    if not subject.spec.conditioning:
        yield not_run("conditioning", "the family has no options of its own")
        return
    where = subject.spec.conditioning
    options = subject.host.families.load(subject.installed, "conditioning") if subject.installed else load_target(where)
    yield summed("conditioning", "frozen, hashable, closed, described", _option_faults(options))


def _option_faults(options: type[BaseModel]) -> Iterable[str]:
    if not options.model_config.get("frozen"):
        yield "options can be changed"
    for name, field in options.model_fields.items():
        if not field.description:
            yield f"the option {name!r} has no description"
        if field.is_required():
            yield f"the option {name!r} has no default"
    with suppress(ValidationError):
        options.model_validate({"an_option_that_nothing_has": 1})
        yield "an unknown option is accepted"
    if not any(field.is_required() for field in options.model_fields.values()):
        try:
            hash(options())
        except TypeError:
            yield "its objects cannot be hashed"
