"""Leaves out of recorded steps what nothing uses, without a change of any bit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from latentry._numerics._table._table import Combine, Guard, Operation, TableStep, made, needed


def chained(step: TableStep, kept: frozenset[str]) -> TableStep:
    """Combinations that only begin another one are made part of it: the same additions in the same order.

    Args:
        step: the step.
        kept: names that must stay, because the memory holds them.
    """
    uses = Counter(name for operation in step.operations for name in needed(operation))
    only_begins = {name for name, count in uses.items() if count == 1} - kept - {step.result}
    begun: dict[str, Combine] = {}
    operations: list[Operation] = []
    for operation in step.operations:
        if isinstance(operation, Combine):
            operation = _continued(operation, begun)
            if operation.into in only_begins:
                begun[operation.into] = operation
        operations.append(operation)
    # those that became part of another are unused now
    return replace(step, operations=tuple(operations))


def _continued(operation: Combine, begun: dict[str, Combine]) -> Combine:
    if not operation.terms:
        return operation
    first, *rest = operation.terms
    head = begun.get(first.tensor)
    if head is None or first.coefficient != 1.0 or not head.terms:
        return operation
    return replace(operation, terms=(*head.terms, *rest))


def without_unused(steps: Sequence[TableStep], kept: frozenset[str] = frozenset()) -> tuple[TableStep, ...]:
    """The steps without combinations that neither a query nor a sample nor ``kept`` needs, and with what to drop.

    Draws stay, needed or not: a source of noise may count them.
    """
    wanted = set(kept)
    lean: list[TableStep] = []
    for step in reversed(steps):
        later = frozenset(wanted)
        wanted.add(step.result)
        operations: list[Operation] = []
        for operation in reversed(step.operations):
            if isinstance(operation, Combine | Guard) and operation.into not in wanted:
                continue
            wanted.update(needed(operation))
            operations.append(operation)
        here = {step.sample, *wanted, *(name for operation in operations for name in made(operation))}
        drop = tuple(sorted(here - later))
        lean.append(replace(step, operations=tuple(reversed(operations)), drop=drop))
        wanted -= {name for operation in operations for name in made(operation)} | {step.sample}
    return tuple(reversed(lean))
