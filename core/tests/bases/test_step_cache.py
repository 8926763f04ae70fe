"""Step caches without a network: what is computed when, what is made up, and how often the host waits."""

from __future__ import annotations

import pytest
import torch

from latentry.models import CachedPass, CacheMemory, CachePart, StepCache


@pytest.mark.parametrize(
    "text", ["", "first", "taylor:", "taylor:1", "deep:2.5", "first-block:1", "first-block:x", "deep:inf"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        StepCache.parse(text)


@pytest.mark.parametrize("text", ["first-block:0.07", "taylor:4", "deep:2"])
def test_texts_are_read_again(text: str) -> None:
    assert StepCache.parse(text).text == text


@pytest.mark.parametrize("every", [2, 3, 5])
@pytest.mark.parametrize("kind", ["taylor", "deep"])
def test_one_of_so_many_is_computed(kind: str, every: int) -> None:
    """After as many as the polynomial needs."""
    cache = StepCache.parse(f"{kind}:{every}")
    chosen = [number for number in range(cache.order + 6 * every) if cache.counted(number)]
    assert chosen == [*range(cache.order), *range(cache.order, cache.order + 6 * every, every)]


def test_a_straight_line_is_extrapolated_exactly() -> None:
    """Along unequal steps; a value that was computed twice at one timestep counts once."""
    slope, start = torch.randn(2, 2, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    memory = CacheMemory(StepCache("taylor", 4))
    for t in (900.0, 900.0, 640.0):
        memory.keep(t, start + t * slope, None)
    for t in (510.0, 380.5, 12.0):
        assert torch.allclose(memory.forecast(t), start + t * slope, rtol=1e-10)


def test_a_change_that_is_not_a_number_is_computed() -> None:
    memory = CacheMemory(StepCache("first-block", 0.5))
    memory.keep(9.0, torch.ones(1, 2), torch.zeros(1, 2))
    assert CachedPass([CachePart(memory, 1, 8.0)]).choose(torch.zeros(1, 2)) == (True,)


def test_a_count_never_waits_for_the_device_and_a_change_does_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """On meta tensors, whose values nobody can read."""
    memory = CacheMemory(StepCache("taylor", 3))
    value = torch.ones(2, 4, device="meta")
    for number in range(7):
        cache = CachedPass([CachePart(memory, 2, 100.0 - number)])
        chosen = cache.choose()
        assert cache.complete(value if chosen[0] else None).shape == (2, 4)
        cache.commit()
    read, waits = torch.Tensor.tolist, list[int]()
    monkeypatch.setattr(torch.Tensor, "tolist", lambda tensor: waits.append(len(tensor)) or read(tensor))
    parts = []
    for number in range(5):
        kept = CacheMemory(StepCache("first-block", 0.3))
        kept.keep(9.0, torch.ones(1, 4), torch.ones(1, 4))
        parts.append(CachePart(kept, 1, 8.0 - number))
    changes = torch.tensor([0.1, 0.5, 0.2, 0.4, 0.0])
    chosen = CachedPass(parts).choose(torch.ones(5, 4) * (1 + changes[:, None]))
    assert chosen == (False, True, False, True, False)
    assert waits == [5]


def test_a_network_that_takes_no_notice_is_told() -> None:
    cache = CachedPass([CachePart(CacheMemory(StepCache("deep", 2)), 1, 1.0)])
    with pytest.raises(RuntimeError, match="did not use it"):
        cache.commit()
