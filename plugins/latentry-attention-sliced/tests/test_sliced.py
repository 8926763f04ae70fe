"""Slices: every size gives the same result, and memory stays within the promised limit."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from latentry import OptionError, PluginHost
from latentry.testing import AttentionSuite, eager_attention
from latentry_attention_sliced import backend as module
from latentry_attention_sliced.backend import Sliced
from latentry_attention_sliced.memory import free_memory


class TestDefault(AttentionSuite):
    backend = "sliced"


class TestRows(AttentionSuite):
    backend = "sliced"
    options: ClassVar = {"size": 5}


class TestHeads(AttentionSuite):
    backend = "sliced"
    options: ClassVar = {"by": "heads", "size": 2}


class TestOneHead(AttentionSuite):
    backend = "sliced"
    options: ClassVar = {"by": "heads"}


def tensors(*shape: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.randn(shape, generator=generator) for _ in range(3)]


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of the scores that were in memory."""
    seen: list[tuple[int, ...]] = []
    softmax = module._softmax

    def watched(scores: Tensor, *rest: Any) -> Tensor:
        seen.append(tuple(scores.shape))
        return softmax(scores, *rest)

    monkeypatch.setattr(module, "_softmax", watched)
    return seen


@pytest.mark.parametrize(
    ("options", "shapes"),
    [
        ({"size": 4}, [(2, 3, 4, 10), (2, 3, 4, 10), (2, 3, 2, 10)]),
        ({"size": 100}, [(2, 3, 10, 10)]),
        ({"by": "heads", "size": 2}, [(1, 2, 10, 10), (1, 1, 10, 10)] * 2),
        ({"by": "heads", "size": 9}, [(1, 3, 10, 10)] * 2),
    ],
)
def test_slices_have_the_requested_size(
    options: dict[str, Any], shapes: list[tuple[int, ...]], products: list[tuple[int, ...]]
) -> None:
    q, k, v = tensors(2, 3, 10, 8)
    found = Sliced(**options).attend(q, k, v)
    assert products == shapes
    assert torch.allclose(found.double(), eager_attention(q, k, v), atol=1e-6)


@pytest.mark.parametrize("free", [None, 8_000_000, 80_000, 1])
def test_the_size_comes_from_the_free_memory(
    free: int | None, products: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores take at most an eighth of the free memory, unless one row needs more."""
    monkeypatch.setattr(module, "free_memory", lambda device: free)
    q, k, v = tensors(1, 2, 300, 4)
    Sliced().attend(q, k, v)
    largest = max(4 * 2 * rows * 300 for _, _, rows, _ in products)
    assert sum(rows for _, _, rows, _ in products) == 300
    assert largest <= (module.MOST_ON_CPU if free is None else max(free // 8, 4 * 2 * 300))
    assert (len(products) == 1) == (free in (None, 8_000_000))


def test_scores_grow_with_the_tokens_and_not_with_their_square(
    products: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ON_CPU", 2**16)
    for tokens in (128, 512, 2048):
        q, k, v = tensors(1, 1, tokens, 4)
        Sliced().attend(q, k, v, causal=True)
    assert max(rows * keys * 4 for _, _, rows, keys in products) <= 2**16


def test_the_machine_says_how_much_is_free() -> None:
    free = free_memory(torch.device("cpu"))
    assert free is None or free > 0


@pytest.mark.parametrize("options", [{"by": "columns"}, {"size": 0}, {"size": -3}])
def test_odd_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        PluginHost().attention_backends.create("sliced", **options)
