"""The checks of attention backends, in the order they are run, and running them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from latentry.testing._attention._contract import leavings, listing, probe, record_faults, summed, undeclared
from latentry.testing._attention._numbers import causal, dtypes, edges, logits, masks, scale, sizes, strides
from latentry.testing._attention._subject import AttentionSubject
from latentry.testing._result import CheckResult

Check = Callable[[AttentionSubject], Iterable[CheckResult]]


def spec(subject: AttentionSubject) -> Iterator[CheckResult]:
    """The record's fields are sane, and every exemption has a reason.

    Troubleshooting: compare the record in the plugin's ``__init__.py`` with the fields of ``AttentionBackendSpec``.
    """
    yield summed("spec", "a sane record", "; ".join(record_faults(subject.spec, CHECKS)))


_RECORD: tuple[Check, ...] = (spec, probe, listing)
"""Checks that need no device."""
_COMPUTED: tuple[Check, ...] = (undeclared, sizes, masks, causal, scale, dtypes, strides, edges, logits, leavings)

CHECKS: Mapping[str, Check] = MappingProxyType({check.__name__: check for check in (*_RECORD, *_COMPUTED)})


def check_attention(subject: AttentionSubject, checks: Iterable[str] = tuple(CHECKS)) -> Iterator[CheckResult]:
    """Runs checks and yields their findings; a check that is exempt or cannot run here is a finding with the reason."""
    for name in checks:
        if reason := _left_out(subject, name):
            yield CheckResult(check=name, case="all", declared="exempt", measured="not run", exempt=reason)
            continue
        hint = " ".join((inspect.getdoc(CHECKS[name]) or "").partition("Troubleshooting: ")[2].split())
        for result in CHECKS[name](subject):
            yield replace(result, hint=hint)


def _left_out(subject: AttentionSubject, name: str) -> str | None:
    exempt = dict(subject.spec.exemptions).get(name)
    return exempt or (subject.obstacle if CHECKS[name] in _COMPUTED else None)
