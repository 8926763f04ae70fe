"""Adapters whose weights change from one evaluation to the next: each has the bits of that weight."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch
from support.peft_adapters import CONFIGS, Small, run, save, with_adapter
from torch import Tensor

from latentry import Curve, IncompatibleError, LoraRequest
from latentry_diffusers.lora import Adapters

CURVE = Curve.parse("0.5@0,-1@1")


@pytest.fixture
def network() -> Small:
    """Without gradients."""
    return Small().eval().requires_grad_(False)


def lora(network: Small, folder: Path, kind: str, weight: float | Curve, seed: int = 0) -> LoraRequest:
    """An adapter of a kind, written once."""
    place = folder / f"{kind} {seed}"
    if not place.exists():
        place.mkdir()
        torch.manual_seed(seed)
        save(with_adapter(network, kind), place)
    return LoraRequest(path=str(place), weight=weight)


def fixed(adapters: Adapters, network: Any, *loras: LoraRequest) -> Tensor:
    """With numbers."""
    with adapters.set(loras, "unmerged"):
        return run(network)


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_kind_has_the_bits_of_its_weight(network: Small, tmp_path: Path, kind: str) -> None:
    """Beside another one that keeps its weight; without a word, the weight is that of the start of a run."""
    adapters, plain = Adapters({"unet": network}, lambda: ()), run(network)
    kept = lora(network, tmp_path, "LoRA", 0.7, seed=1)
    weights = (0.5, 1.0, -1.0, 0.0, 0.5)
    expected = [fixed(adapters, network, lora(network, tmp_path, kind, weight), kept) for weight in weights]
    with adapters.set((lora(network, tmp_path, kind, CURVE), kept), "unmerged"):
        assert torch.equal(run(network), expected[0])
        for weight, one in zip(weights, expected, strict=True):
            with adapters.weighing([(weight,)]):
                assert torch.allclose(run(network), one, atol=1e-6, rtol=0.0)
                assert torch.equal(run(network), one) or "bias" in kind.lower()
        assert torch.equal(run(network), expected[0])
    assert float((expected[2] - expected[1]).abs().max()) > 0.01
    assert torch.equal(run(network), plain)


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_row_has_its_own_weight(network: Small, tmp_path: Path, kind: str) -> None:
    """Of two adapters of the kind, beside one that has the same weight in all rows."""
    adapters = Adapters({"unet": network}, lambda: ())
    kept = lora(network, tmp_path, "LoRA", 0.7, seed=1)
    rows = [(0.5, 1.0), (0.5, 1.0), (-1.0, 0.0), (0.0, 0.25)]

    def worn(*weights: float | Curve) -> tuple[LoraRequest, ...]:
        return (*(lora(network, tmp_path, kind, weight, seed) for seed, weight in enumerate(weights, 2)), kept)

    x = torch.randn((len(rows), 4, 12, 10), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = []
        for index, weights in enumerate(rows):
            with adapters.set(worn(*weights), "unmerged"):
                expected.append(network(x[index : index + 1]))
        with adapters.set(worn(CURVE, CURVE), "unmerged"), adapters.weighing(rows):
            found = network(x)
    assert torch.allclose(found, torch.cat(expected), atol=1e-5, rtol=0.0)
    assert float((expected[0] - expected[3]).abs().max()) > 0.01


def test_each_thread_has_its_weights(network: Small, tmp_path: Path) -> None:
    adapters, together = Adapters({"unet": network}, lambda: ()), Barrier(4)
    weights = (0.5, -0.25, 1.0, 2.0)
    expected = [fixed(adapters, network, lora(network, tmp_path, "LoRA", weight)) for weight in weights]

    def draw(weight: float) -> list[Tensor]:
        together.wait(timeout=60)
        with adapters.weighing([(weight,)]):
            return [run(network) for _ in range(20)]

    with adapters.set((lora(network, tmp_path, "LoRA", CURVE),), "unmerged"), ThreadPoolExecutor(4) as pool:
        found = list(pool.map(draw, weights))
    for several, one in zip(found, expected, strict=True):
        assert all(torch.allclose(each, one, atol=1e-6) for each in several)


def test_it_cannot_be_merged_and_nothing_has_changed(network: Small, tmp_path: Path) -> None:
    adapters, plain = Adapters({"unet": network}, lambda: ()), run(network)
    with pytest.raises(IncompatibleError, match="cannot be merged"):
        adapters.set((lora(network, tmp_path, "LoRA", CURVE),), "merged")
    assert torch.equal(run(network), plain)
