"""Steps with the fewest terms: the same numbers but for rounding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from latentry._numerics._table._table import Combine, Evaluate, Guard, Operation, TableStep, Term, needed

ROUNDING = 1e-15
"""Relative; less than coefficients in float64 are exact to."""
Shares = Mapping[str, float]
"""A combination: the coefficient of each tensor."""


def fused(step: TableStep, kept: frozenset[str]) -> TableStep:
    """The step with only those combinations that a query, a guard, the next sample or the memory needs.

    Each is written in what it comes to in the sample, the outputs, the draws and older tensors, or in another one of
    them where that takes fewer kernels. Coefficients are put together in float64.

    Args:
        step: the step.
        kept: names that must stay, because the memory holds them.
    """
    wanted = {step.result, *kept}
    for operation in step.operations:
        wanted.update(needed(operation) if isinstance(operation, Evaluate | Guard) else ())
    inner: dict[str, Shares] = {}
    found: dict[str, Shares] = {}
    operations: list[Operation] = []
    for operation in step.operations:
        if not isinstance(operation, Combine):
            operations.append(operation)
            continue
        shares = _put_in(operation.terms, inner)
        if operation.into not in wanted:
            inner[operation.into] = shares
            continue
        for name in [name for name in shares if name in found]:
            shorter = _put_in(_terms(shares), {name: found[name]})
            shares = shorter if name in shares and len(shorter) < len(shares) else shares
        shares = min(
            [shares, *(_upon(name, other, shares) for name, other in found.items() if name not in shares)], key=_kernels
        )
        found[operation.into] = shares
        operations.append(Combine(operation.into, tuple(_terms(shares))))
    return replace(step, operations=tuple(operations))


def _put_in(terms: Iterable[Term], known: Mapping[str, Shares]) -> Shares:
    """The combination with what is known put in for names; terms that cancel are left out."""
    total: dict[str, float] = {}
    for coefficient, name in terms:
        for other, share in known.get(name, {name: 1.0}).items():
            total[other] = total.get(other, 0.0) + coefficient * share
    return {name: share for name, share in total.items() if share != 0.0}


def _upon(name: str, other: Shares, shares: Shares) -> Shares:
    """The combination as another one and what it lacks: Heun's corrected step upon its predicted one."""
    rest = {key: shares.get(key, 0.0) - other.get(key, 0.0) for key in (*shares, *other)}
    # sums of the same numbers in another order
    gone = {key for key in rest if abs(rest[key]) <= ROUNDING * abs(shares.get(key, 0.0))}
    return {name: 1.0, **{key: share for key, share in rest.items() if key not in gone}}


def _kernels(shares: Shares) -> int:
    """What the combination takes: one for each term, but for the first where its coefficient is 1."""
    return len(shares) - (len(shares) > 1 and 1.0 in shares.values())


def _terms(shares: Shares) -> list[Term]:
    """A term with coefficient 1 first: it costs no multiplication."""
    terms = [Term(share, name) for name, share in shares.items()]
    return sorted(terms, key=lambda term: term.coefficient != 1.0)
