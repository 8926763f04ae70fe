"""The checks, in the order they are run and reported; cheap ones first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import MappingProxyType

from latentry.testing._checks._accuracy._arrival import arrival
from latentry.testing._checks._accuracy._coefficients import coefficients
from latentry.testing._checks._accuracy._convergence import convergence
from latentry.testing._checks._accuracy._edges import edges
from latentry.testing._checks._accuracy._one_answer import model_time, one_answer
from latentry.testing._checks._accuracy._stability import stability
from latentry.testing._checks._capabilities import evaluations, noise, off_grid
from latentry.testing._checks._clock import clock
from latentry.testing._checks._record import listing, options, scheduler_faults
from latentry.testing._checks._repeatable import batch, determinism, resume
from latentry.testing._checks._table import table
from latentry.testing._checks._tensors import dtypes, host_sync, in_place
from latentry.testing._checks._unguided import unguided
from latentry.testing._checks._variance import variance
from latentry.testing._kit._checked import Checks
from latentry.testing._kit._record import summed
from latentry.testing._result import CheckResult
from latentry.testing._subject import Subject

Check = Callable[[Subject], Iterable[CheckResult]]


def spec(subject: Subject) -> Iterator[CheckResult]:
    """The record's fields are sane, and every exemption has a reason.

    Troubleshooting: compare the record in the plugin's ``__init__.py`` with the fields of ``SchedulerSpec``.
    """
    yield summed("spec", "a sane record", scheduler_faults(subject.spec, CHECKS))


_ALL: tuple[Check, ...] = (
    spec,
    options,
    listing,
    evaluations,
    noise,
    off_grid,
    arrival,
    edges,
    stability,
    unguided,
    one_answer,
    model_time,
    coefficients,
    convergence,
    variance,
    clock,
    determinism,
    batch,
    resume,
    table,
    dtypes,
    host_sync,
    in_place,
)
CHECKS: Checks[Subject] = MappingProxyType({check.__name__: check for check in _ALL})
