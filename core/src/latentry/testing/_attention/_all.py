"""The checks of attention backends, in the order they are run, and running them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from types import MappingProxyType

from latentry.testing._attention._contract import attention_faults, leavings, listing, probe, undeclared
from latentry.testing._attention._numbers import causal, dtypes, edges, logits, masks, scale, sizes, strides
from latentry.testing._attention._subject import AttentionSubject
from latentry.testing._kit._checked import Checks
from latentry.testing._kit._record import summed
from latentry.testing._kit._run import run_checks
from latentry.testing._result import CheckResult, not_run

Check = Callable[[AttentionSubject], Iterable[CheckResult]]


def spec(subject: AttentionSubject) -> Iterator[CheckResult]:
    """The record's fields are sane, and every exemption has a reason.

    Troubleshooting: compare the record in the plugin's ``__init__.py`` with the fields of ``AttentionBackendSpec``.
    """
    yield summed("spec", "a sane record", attention_faults(subject.spec, CHECKS))


def _where_it_runs(check: Check) -> Check:
    """The check where the backend can run, and elsewhere the reason why it cannot."""

    @wraps(check)
    def checked(subject: AttentionSubject) -> Iterator[CheckResult]:
        if obstacle := subject.obstacle:
            yield not_run(check.__name__, obstacle)
        else:
            yield from check(subject)

    return checked


_RECORD: tuple[Check, ...] = (spec, probe, listing)
"""Checks that need no device."""
_COMPUTED: tuple[Check, ...] = (undeclared, sizes, masks, causal, scale, dtypes, strides, edges, logits, leavings)

CHECKS: Checks[AttentionSubject] = MappingProxyType(
    {check.__name__: check for check in (*_RECORD, *map(_where_it_runs, _COMPUTED))}
)


def check_attention(subject: AttentionSubject, checks: Iterable[str] = tuple(CHECKS)) -> Iterator[CheckResult]:
    """Runs checks and yields their findings; a check that is exempt or cannot run here is a finding with the reason."""
    yield from run_checks(CHECKS, subject, checks)
