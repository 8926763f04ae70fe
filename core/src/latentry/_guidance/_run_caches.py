"""What a step cache keeps of one run, beside its sample and its scheduler's memory."""

from __future__ import annotations

from latentry._contract._caching._cached_pass import CacheMemory, CacheState
from latentry._contract._caching._step_cache import StepCache
from latentry._numerics._layout import Layout
from latentry._numerics._running._state import RunState


class RunCaches:
    """The memories of a run, one for rows that always go through the network together.

    Args:
        cache: how it is decided what is computed.
    """

    def __init__(self, cache: StepCache) -> None:
        self._cache = cache
        self._memories: dict[str, CacheMemory] = {}
        self._settled: dict[str, CacheState] = {}

    def memory(self, key: str) -> CacheMemory:
        """The memory of some rows.

        Args:
            key: equal for the same rows with the same prompts.
        """
        return self._memories.setdefault(key, CacheMemory(self._cache))

    def take_real(self) -> bool:
        """Whether all that was evaluated since the last call was computed in full. Settles what is kept."""
        made_up = [memory for memory in self._memories.values() if memory.made_up]
        for memory in made_up:
            memory.made_up = False
        self._settled = {key: memory.state for key, memory in self._memories.items()}
        return not made_up

    def state(self, plan: Layout, index: int) -> RunState:
        """The memories as data, as they were settled last: a query that was left half answered is asked again.

        Args:
            plan: of the run.
            index: steps done.
        """
        value = tuple(self._settled.items())
        return RunState.pack(f"{self._cache.text} on {plan.fingerprint}", index, plan.points[index], value)

    def resume(self, state: RunState) -> None:
        """Goes on from data."""
        self._settled = dict(state.unpack(CacheState))
        self._memories = {key: CacheMemory(self._cache, kept) for key, kept in self._settled.items()}
