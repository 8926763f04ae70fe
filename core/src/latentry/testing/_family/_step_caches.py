"""Checks of step caches: what they leave out, for whom, and that nothing stays of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from latentry._contract._caching._cached_pass import CachedPass, CacheMemory, CachePart
from latentry._contract._caching._step_cache import StepCache
from latentry._contract._model import Model
from latentry._specs import StepCacheKind
from latentry.testing._family._inputs import DIFFERENT, SAME, Given, apart, given, predicted
from latentry.testing._family._subject import FamilySubject
from latentry.testing._kit._record import summed
from latentry.testing._result import CheckResult

NUMBERS: dict[StepCacheKind, float] = {"first-block": 0.9, "taylor": 2, "deep": 2}
"""With which a step cache leaves something out soon."""


def step_caches(subject: FamilySubject) -> Iterator[CheckResult]:
    """Of each step cache that is declared: what is computed keeps its bits, what is made up of an evaluation with the
    same inputs is the same, and a row does not depend on whether something is left out for its neighbours.

    Troubleshooting: call ``choose`` and ``complete`` of ``cache`` once in ``predict``; compute the costly part for the
    chosen rows alone, and keep nothing in ``self`` from one call to the next.
    """
    for variant in subject.variants:
        for kind in sorted(subject.spec.step_caches):
            faults = _faults(subject.model(variant), given(subject, variant), StepCache(kind, NUMBERS[kind]))
            yield summed("step_caches", kind, faults, case=variant.name)


def _faults(model: Model, both: Given, cache: StepCache) -> Iterator[str]:
    plain, first, second = predicted(model, both), both.row(0), both.row(1)
    memory = CacheMemory(cache)
    alone = predicted(model, first)
    if not torch.equal(_cached(model, first, [memory]), alone):
        yield "the first evaluation has other bits than without a cache"
    for _ in range(2 + cache.order):
        again = _cached(model, first, [memory])
        if memory.made_up:
            break
    if not memory.made_up:
        yield "nothing is made up"
        return
    if (off := apart(again, alone)) > SAME:
        yield f"what is made up for the same inputs is off by {off:.1e}"
    ready = CacheMemory(cache, memory.state)
    while not cache.by_change and cache.counted(ready.state.evaluations):
        _cached(model, first, [ready])
    yield from _beside(model, both, first, second, ready)
    if not torch.equal(predicted(model, both), plain):
        yield "something stays left out afterwards"


def _beside(model: Model, both: Given, first: Given, second: Given, ready: CacheMemory) -> Iterator[str]:
    """A row for which something is left out beside one for which all is computed."""
    moved = replace(first, x=first.x + 0.01 * second.x)
    meant = _cached(model, moved, [CacheMemory(ready.cache, ready.state)])
    if apart(meant, predicted(model, moved)) < DIFFERENT:
        yield "with other inputs nothing is left out"
    memories = [CacheMemory(ready.cache, ready.state), CacheMemory(ready.cache)]
    found = _cached(model, replace(both, x=torch.cat([moved.x, second.x])), memories)
    if [memory.made_up for memory in memories] != [True, False]:
        yield "rows are not decided for one by one"
    off = apart(found, torch.cat([meant, predicted(model, second)]))
    if off > SAME:
        yield f"a row beside one of another decision is off by {off:.1e}"


def _cached(model: Model, inputs: Given, memories: Sequence[CacheMemory]) -> Tensor:
    """The model's output for rows with a memory each."""
    cache = CachedPass([CachePart(memory, 1, inputs.timestep) for memory in memories])
    options: dict[str, Any] = {"cache": cache}
    output = predicted(model, inputs, **options)
    cache.commit()
    return output
