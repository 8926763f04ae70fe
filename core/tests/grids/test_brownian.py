"""One path, whatever it is seen through."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from support.oracles import SD
from torch import Tensor

from latentry import BrownianNoise, KeyedNoise, Prediction, Trailing

SHAPE = (1, 4, 64, 64)
LIKE = torch.zeros(SHAPE, dtype=torch.float64)
BLUR = 0.02
"""Relative error of an increment that comes of rounding a clock to one part in 12,000."""


def increments(noise: BrownianNoise, times: list[float], like: Tensor = LIKE) -> list[Tensor]:
    return [noise(like, i, 0, piece) for i, piece in enumerate(pairwise(times))]


def path(noise: BrownianNoise, times: list[float], like: Tensor = LIKE) -> list[Tensor]:
    """W at each time but the first, where it is counted from."""
    steps = [z * math.sqrt(b - a) for z, (a, b) in zip(increments(noise, times, like), pairwise(times), strict=True)]
    return list(torch.stack(steps).cumsum(0))


def geometric(first: float, last: float, steps: int) -> list[float]:
    return [first * (last / first) ** (i / steps) for i in range(steps + 1)]


def close(found: Tensor, expected: Tensor, within: float) -> bool:
    return bool((found - expected).std() <= within * expected.std())


@pytest.mark.slow
def test_the_same_path_is_seen_at_10_20_and_40_steps() -> None:
    ten, twenty, forty = (path(BrownianNoise(7), geometric(5e-3, 1e3, n)) for n in (10, 20, 40))
    for coarse, medium, fine in zip(ten, twenty[1::2], forty[3::4], strict=True):
        assert close(medium, coarse, BLUR)
        assert close(fine, coarse, BLUR)


def test_at_the_paths_own_places_it_is_the_same_to_the_last_digits() -> None:
    one, parts = BrownianNoise(7), BrownianNoise(7)
    whole = one(LIKE, 0, 0, (1.0, 8.0))
    left, right = parts(LIKE, 0, 0, (1.0, 2.0)), parts(LIKE, 3, 1, (2.0, 8.0))
    assert torch.allclose(math.sqrt(7) * whole, left + math.sqrt(6) * right, rtol=0, atol=1e-12)


def test_any_piece_is_the_sum_of_its_parts() -> None:
    a, b, c = 0.0137, 0.29, 5.31
    whole = BrownianNoise(3)(LIKE, 0, 0, (a, c))
    left, right = increments(BrownianNoise(3), [a, b, c])
    rebuilt = (math.sqrt(b - a) * left + math.sqrt(c - b) * right) / math.sqrt(c - a)
    assert close(rebuilt, whole, BLUR)


@pytest.mark.parametrize(
    "times", [geometric(4e-3, 1e3, 20), [0.0, 1e-3, 0.5, 0.51, 40.0, math.inf], [-3.0, -1.0, 0.0, 2.0]]
)
def test_consecutive_pieces_are_standard_normal_and_independent(times: list[float]) -> None:
    drawn = torch.stack([z.flatten() for z in increments(BrownianNoise(11), times)])
    count = drawn.shape[1]
    assert float(drawn.mean(1).abs().max()) < 5 / math.sqrt(count)
    assert float((drawn.var(1) - 1).abs().max()) < 5 * math.sqrt(2 / count)  # χ² with 16,384 degrees
    assert float(((drawn**4).mean(1) - 3).abs().max()) < 5 * math.sqrt(96 / count)
    between = torch.corrcoef(drawn) - torch.eye(len(drawn))
    assert float(between.abs().max()) < 5 / math.sqrt(count)


@pytest.mark.slow
def test_thousand_steps_are_still_independent() -> None:
    like = torch.zeros(1, 256, dtype=torch.float64)
    drawn = torch.stack([z.flatten() for z in increments(BrownianNoise(2), geometric(5e-3, 1e3, 1000), like)])
    neighbours = (drawn[1:] * drawn[:-1]).mean()
    assert abs(float(neighbours)) < 5 / math.sqrt(drawn.numel())
    assert abs(float(drawn.var()) - 1) < 5 * math.sqrt(2 / drawn.numel())


def test_order_and_history_do_not_matter() -> None:
    times = geometric(0.01, 100.0, 12)
    forward = increments(BrownianNoise(5), times)
    noise = BrownianNoise(5)
    pieces = list(enumerate(pairwise(times)))
    backward = {i: noise(LIKE, 90 + i, 4, piece) for i, piece in reversed(pieces)}
    assert all(torch.equal(backward[i], z) for i, z in enumerate(forward))


def test_a_sample_does_not_depend_on_its_batch() -> None:
    batch = BrownianNoise(5, (0, 1, 2))(torch.zeros(3, 4, 8, 8), 0, 0, (0.2, 0.9))
    for sample in (2, 0, 1):
        alone = BrownianNoise(5, (sample,))(torch.zeros(1, 4, 8, 8), 0, 0, (0.2, 0.9))
        assert torch.equal(batch[sample : sample + 1], alone)
    assert not torch.equal(batch[0], batch[1])


def test_another_seed_is_another_path() -> None:
    one, other = (BrownianNoise(seed)(LIKE, 0, 0, (0.2, 0.9)) for seed in (5, 6))
    assert abs(float((one * other).mean())) < 5 / 128


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_path_is_one_for_every_dtype(dtype: torch.dtype) -> None:
    found = BrownianNoise(5)(LIKE.to(dtype), 0, 0, (0.2, 0.9))
    assert found.dtype == dtype
    assert torch.equal(found, BrownianNoise(5)(LIKE, 0, 0, (0.2, 0.9)).to(dtype))


def test_samples_of_another_shape_in_between_do_no_harm() -> None:
    noise = BrownianNoise(5)
    first = noise(LIKE, 0, 0, (0.2, 0.9))
    assert noise(torch.zeros(1, 3), 0, 0, (0.2, 0.9)).shape == (1, 3)
    assert torch.equal(noise(LIKE, 0, 0, (0.2, 0.9)), first)


def test_without_a_clock_draws_are_keyed() -> None:
    assert torch.equal(BrownianNoise(5)(LIKE, 3, 1, None), KeyedNoise(5)(LIKE, 3, 1))
    assert torch.equal(BrownianNoise(5).initial(LIKE), KeyedNoise(5).initial(LIKE))


def test_a_piece_too_short_to_be_resolved_still_has_its_own_noise() -> None:
    noise = BrownianNoise(5)
    drawn = [noise(LIKE, i, 0, (1.0 + i * 1e-9, 1.0 + (i + 1) * 1e-9)) for i in range(2)]
    assert all(abs(float(z.var()) - 1) < 0.06 for z in drawn)
    assert not torch.equal(*drawn)


def test_memory_stays_bounded() -> None:
    noise = BrownianNoise(5)
    increments(noise, geometric(1e-6, 1e6, 200), torch.zeros(1, 8))
    assert len(noise._known) <= 2 * 21


def test_a_clock_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        BrownianNoise(5)(LIKE, 0, 0, (0.1, math.nan))


def test_a_plan_takes_it_as_its_noise() -> None:
    from support.toys import First

    plan = First().plan(3, process=SD, prediction=Prediction.EPSILON, sigmas=Trailing())
    run = plan.start(torch.zeros(2, 4), noise=BrownianNoise(1, (0, 1)))
    while (query := run.query) is not None:
        run.advance(torch.zeros_like(query.x))
    assert run.sample.shape == (2, 4)


class TestAnEquationSolvedOnOnePath:
    """dx = −x dt + dW, by exact steps with the path's increments: finer grids come to the same end."""

    @staticmethod
    def end(steps: int, noise: BrownianNoise | KeyedNoise) -> Tensor:
        x = torch.zeros(1, 2000, dtype=torch.float64)
        times = [1.0 + 2.0 * i / steps for i in range(steps + 1)]
        for i, (a, b) in enumerate(pairwise(times)):
            x = x - x * (b - a) + math.sqrt(b - a) * noise(x, i, 0, (a, b))
        return x

    def test_strong_order_one_on_the_path_and_none_off_it(self) -> None:
        fine = self.end(640, BrownianNoise(9))
        errors = [float((self.end(n, BrownianNoise(9)) - fine).std()) for n in (10, 20, 40)]
        assert errors[0] / errors[1] > 1.7 and errors[1] / errors[2] > 1.6
        assert float((self.end(40, KeyedNoise(9)) - fine).std()) > 0.5
