"""Keyed noise: a draw depends on its key and on nothing else."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from latentry import KeyedNoise, Noise

LIKE = torch.empty(1, 4, 8, 8)


def draw(seed: int = 1, sample: int = 0, interval: int = 0, number: int = 0) -> Tensor:
    """One sample's draw."""
    return KeyedNoise(seed, (sample,))(LIKE, interval, number)[0]


def test_the_batch_has_no_part_in_a_samples_noise() -> None:
    together = KeyedNoise(5, (0, 1, 2))(LIKE.expand(3, -1, -1, -1), 4, 1)
    for sample in range(3):
        assert torch.equal(together[sample], draw(5, sample, 4, 1))


def test_the_order_of_drawing_has_no_part_in_it() -> None:
    source = KeyedNoise(5, (7,))
    forth = [source(LIKE, i, 0) for i in range(4)]
    back = [source(LIKE, i, 0) for i in reversed(range(4))]
    assert all(torch.equal(a, b) for a, b in zip(forth, reversed(back), strict=True))


def test_a_permuted_batch_gets_permuted_noise() -> None:
    wide = LIKE.expand(3, -1, -1, -1)
    assert torch.equal(KeyedNoise(9, (2, 0, 1))(wide, 0, 0), KeyedNoise(9, (0, 1, 2))(wide, 0, 0)[[2, 0, 1]])


@pytest.mark.parametrize("changed", [{"seed": 2}, {"sample": 1}, {"interval": 1}, {"number": 1}])
def test_every_part_of_the_key_changes_the_noise(changed: dict[str, int]) -> None:
    assert abs(correlation(draw(), draw(**changed))) < 5 / math.sqrt(256)
    assert not torch.equal(draw(), draw(**changed))


def test_no_two_keys_meet() -> None:
    firsts = [
        float(draw(seed, sample, interval, number).flatten()[0])
        for seed in (0, 1, 11, 110)
        for sample in (0, 1, 11)
        for interval in (0, 1, 11)
        for number in (0, 1)
    ]
    initial = [float(KeyedNoise(seed, (sample,)).initial(LIKE).flatten()[0]) for seed in (0, 1) for sample in (0, 1)]
    assert len({*firsts, *initial}) == len(firsts) + len(initial)


def test_the_initial_noise_is_keyed_alike() -> None:
    together = KeyedNoise(3, (4, 5)).initial(LIKE.expand(2, -1, -1, -1))
    assert torch.equal(together[1:], KeyedNoise(3, (5,)).initial(LIKE))


def test_the_noise_is_standard_normal() -> None:
    count = 200_000
    values = KeyedNoise(0, (0,))(torch.empty(1, count, dtype=torch.float64), 3, 2).flatten()
    assert abs(float(values.mean())) < 5 / math.sqrt(count)
    assert abs(float(values.var()) - 1.0) < 5 * math.sqrt(2 / count)
    ordered = values.sort().values
    expected = 0.5 * (1 + torch.erf(ordered / math.sqrt(2)))
    steps = torch.arange(1, count + 1, dtype=torch.float64) / count
    assert float((expected - steps).abs().max()) < 1.95 / math.sqrt(count)  # Kolmogorov and Smirnov, 0.1 %
    assert abs(correlation(values[:-1], values[1:])) < 5 / math.sqrt(count)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_the_noise_has_the_samples_dtype_and_the_same_values(dtype: torch.dtype) -> None:
    made = KeyedNoise(1)(LIKE.to(dtype), 0, 0)
    assert made.dtype == dtype
    assert torch.equal(made, draw().to(dtype)[None])


def test_the_indices_are_as_many_as_the_batch() -> None:
    with pytest.raises(ValueError, match="2 sample indices for a batch of 1"):
        KeyedNoise(0, (0, 1))(LIKE, 0, 0)


def test_a_step_counts_its_draws() -> None:
    asked: list[tuple[int, int, tuple[float, float] | None]] = []

    def source(like: Tensor, interval: int, number: int, clock: tuple[float, float] | None) -> Tensor:
        asked.append((interval, number, clock))
        return like

    noise = Noise(source, LIKE, 6)
    noise()
    noise(0.0, 0.5)
    noise(0.5, 1.0)
    assert asked == [(6, 0, None), (6, 1, (0.0, 0.5)), (6, 2, (0.5, 1.0))]


def correlation(a: Tensor, b: Tensor) -> float:
    """Of two draws."""
    return float(torch.corrcoef(torch.stack([a.flatten().double(), b.flatten().double()]))[0, 1])
