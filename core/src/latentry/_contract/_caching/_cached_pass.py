"""What step caches keep of a run, and the rows of one pass through a network that have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from latentry._contract._caching._step_cache import StepCache
from latentry._specs import StepCacheKind


class CacheState(NamedTuple):
    """A ``CacheMemory`` as data."""

    evaluations: int = 0
    timesteps: tuple[float, ...] = ()
    values: tuple[Tensor, ...] = ()
    first: Tensor | None = None


class CacheMemory:
    """What is kept for rows of one run that always go through the network together: a picture with its branches.

    Args:
        cache: how it is decided what is computed.
        state: of an earlier memory.

    Attributes:
        state: what is kept.
        made_up: the last evaluation was not computed in full.
    """

    def __init__(self, cache: StepCache, state: CacheState = CacheState()) -> None:  # noqa: B008 - it is immutable
        self.cache, self.state, self.made_up = cache, state, False

    def change(self, first: Tensor) -> Tensor | None:
        """By how much the first block's residual has changed, as a share of its mean size; None without an earlier one.

        The measure is that of ParaAttention's first-block cache, after TeaCache (Liu et al. 2024, arXiv:2411.19108).
        """
        kept = self.state.first
        if kept is None or kept.shape != first.shape:
            return None
        return (first.float() - kept.float()).abs().mean() / kept.float().abs().mean()

    def forecast(self, timestep: float) -> Tensor:
        """The value at a timestep, by the polynomial through those that were computed last (Liu et al. 2025,
        TaylorSeer, arXiv:2503.06923, eq. 6, whose differences assume equal steps)."""
        newest, *others = self.state.values
        if not others:
            return newest
        weights = _lagrange(self.state.timesteps, timestep)
        wide = torch.promote_types(newest.dtype, torch.float32)
        total = newest.to(wide) * weights[0]
        for value, weight in zip(others, weights[1:], strict=True):
            total = total.add(value.to(wide), alpha=weight)
        return total.to(newest.dtype)

    def keep(self, timestep: float, value: Tensor, first: Tensor | None) -> None:
        """Takes note of a value that was computed."""
        state, most = self.state, self.cache.order
        earlier = zip(state.timesteps, state.values, strict=True)
        pairs = [(at, kept) for at, kept in earlier if at != timestep and kept.shape == value.shape][:most]
        self.state = CacheState(
            state.evaluations + 1,
            (timestep, *(at for at, _ in pairs)),
            (value, *(kept for _, kept in pairs)),
            first,
        )
        self.made_up = False

    def pass_over(self) -> None:
        """Takes note of an evaluation that was made up."""
        self.state, self.made_up = self.state._replace(evaluations=self.state.evaluations + 1), True


class CachePart(NamedTuple):
    """Rows of one memory in a pass.

    Attributes:
        memory: of these rows.
        rows: how many.
        timestep: of all of them.
    """

    memory: CacheMemory
    rows: int
    timestep: float


class CachedPass:
    """The step caches of the rows that go through a network together, for ``Model.predict``.

    The network calls ``choose`` once, computes its costly part for the chosen rows, and calls ``complete``. Memories
    change only when the pass has succeeded.

    Args:
        parts: whose rows they are, in order, with caches of one kind.
    """

    def __init__(self, parts: Sequence[CachePart]) -> None:
        self._parts = tuple(parts)
        self.kind: StepCacheKind = self._parts[0].memory.cache.kind
        self._chosen: tuple[bool, ...] | None = None
        self._firsts: tuple[Tensor | None, ...] = (None,) * len(self._parts)
        self._values: tuple[Tensor | None, ...] | None = None

    def choose(self, first: Tensor | None = None) -> tuple[bool, ...]:
        """For each row whether its value is to be computed.

        The network's change can only be compared on the host: with ``first`` this waits for the device, once for all
        rows. A count is known without.

        Args:
            first: (rows, …), what the decision is made by, for caches that decide by change.
        """
        sizes = [part.rows for part in self._parts]
        if first is not None:
            self._firsts = torch.split(first, sizes)
        self._chosen = self._by_count() if first is None else self._by_change()
        return tuple(chosen for chosen, size in zip(self._chosen, sizes, strict=True) for _ in range(size))

    def _by_count(self) -> tuple[bool, ...]:
        memories = [part.memory for part in self._parts]
        return tuple(not each.state.values or each.cache.counted(each.state.evaluations) for each in memories)

    def _by_change(self) -> tuple[bool, ...]:
        pairs = zip(self._parts, self._firsts, strict=True)
        changes = [None if first is None else part.memory.change(first) for part, first in pairs]
        known = [change for change in changes if change is not None]
        read = iter(torch.stack(known).tolist() if known else [])
        limits = [part.memory.cache.number for part in self._parts]
        # a change that is not a number is computed
        return tuple(change is None or not next(read) <= limit for change, limit in zip(changes, limits, strict=True))

    def complete(self, value: Tensor | None) -> Tensor:
        """The values of all rows: those computed, and the others made of earlier ones.

        Args:
            value: of the chosen rows, in order; None where there are none.
        """
        assert self._chosen is not None, "choose comes first"
        sizes = [part.rows for part, chosen in zip(self._parts, self._chosen, strict=True) if chosen]
        computed = iter(torch.split(value, sizes) if value is not None else ())
        self._values = tuple(next(computed) if chosen else None for chosen in self._chosen)
        pieces = [
            part.memory.forecast(part.timestep) if found is None else found
            for part, found in zip(self._parts, self._values, strict=True)
        ]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def commit(self) -> None:
        """Changes the memories; called by the engine after the pass.

        Raises:
            RuntimeError: the network took no notice of the cache.
        """
        if self._values is None:
            raise RuntimeError("the model was given a step cache, and did not use it")
        for part, found, first in zip(self._parts, self._values, self._firsts, strict=True):
            if found is None:
                part.memory.pass_over()
            else:
                part.memory.keep(part.timestep, found, first)


def _lagrange(nodes: Sequence[float], at: float) -> list[float]:
    """Weights of values at nodes, for the polynomial through them."""
    weights = []
    for i, node in enumerate(nodes):
        weight = 1.0
        for j, other in enumerate(nodes):
            weight *= (at - other) / (node - other) if i != j else 1.0
        weights.append(weight)
    return weights
