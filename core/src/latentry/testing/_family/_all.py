"""The checks of model families, in the order they are run; cheap ones first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from types import MappingProxyType

from latentry.testing._family._attention import attention, attention_roles, backends
from latentry.testing._family._denoise_tiles import denoise_tiles
from latentry.testing._family._files._detection import detection, foreign
from latentry.testing._family._files._loading import damage, opening, report, sizes, weights
from latentry.testing._family._loras import loras
from latentry.testing._family._pictures import autoencoder, preview, tiling
from latentry.testing._family._prediction import (
    batch,
    determinism,
    dtypes,
    guidance,
    in_place,
    layers,
    masks,
    output,
    prompts,
    references,
    rows,
    threads,
    timestep,
)
from latentry.testing._family._record import conditioning, family_faults, listing
from latentry.testing._family._step_caches import step_caches
from latentry.testing._family._subject import FamilySubject
from latentry.testing._family._tasks import offload, tasks
from latentry.testing._kit._checked import Checks
from latentry.testing._kit._record import summed
from latentry.testing._result import CheckResult, not_run

Check = Callable[[FamilySubject], Iterable[CheckResult]]


def spec(subject: FamilySubject) -> Iterator[CheckResult]:
    """The record's fields are sane, and every exemption has a reason.

    Troubleshooting: compare the record in the plugin's ``__init__.py`` with ``ModelFamilySpec`` and ``VariantSpec``.
    """
    yield summed("spec", "a sane record", family_faults(subject.spec, CHECKS))


def _with_a_model(check: Check) -> Check:
    """The check where there is a model of the family, and elsewhere the reason why it cannot run."""

    @wraps(check)
    def checked(subject: FamilySubject) -> Iterator[CheckResult]:
        if subject.files:
            yield from check(subject)
        else:
            yield not_run(check.__name__, "no model of the family is installed: give one with --model PATH")

    return checked


_OF_THE_RECORD: tuple[Check, ...] = (spec, conditioning, listing, foreign)
_OF_A_MODEL: tuple[Check, ...] = (
    detection,
    opening,
    sizes,
    report,
    output,
    prompts,
    guidance,
    masks,
    references,
    timestep,
    layers,
    determinism,
    batch,
    rows,
    in_place,
    threads,
    step_caches,
    denoise_tiles,
    dtypes,
    autoencoder,
    preview,
    tiling,
    attention,
    attention_roles,
    backends,
    loras,
    weights,
    damage,
    tasks,
    offload,
)
CHECKS: Checks[FamilySubject] = MappingProxyType(
    {check.__name__: check for check in (*_OF_THE_RECORD, *map(_with_a_model, _OF_A_MODEL))}
)
