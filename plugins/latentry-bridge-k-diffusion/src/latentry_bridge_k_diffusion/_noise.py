"""The noise of a sampler: from the caller's ``noise_sampler``, keyed by a seed, or from torch's own generator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from latentry import KeyedNoise, NoiseSource, Plan, Prediction

NoiseSampler = Callable[[Tensor, Tensor], Tensor]
"""k-diffusion's: ``noise_sampler(sigma, sigma_next)`` returns noise of unit variance for that piece of a path."""
Clock = tuple[float, float]


def noise_source(plan: Plan, sigmas: Tensor, noise_sampler: NoiseSampler | None, seed: int | None) -> NoiseSource:
    """Where a run draws its noise.

    Args:
        plan: of the run.
        sigmas: the levels of its boundaries.
        noise_sampler: the caller's.
        seed: keys the noise without one; None draws from torch's generator, as k-diffusion does.
    """
    if noise_sampler is not None:
        return _OfPath(plan, sigmas, noise_sampler)
    return _unseeded if seed is None else _Keyed(seed)


class _OfPath:
    """Asks for a piece of the interval for each draw, so that no piece of a Brownian path is used twice."""

    def __init__(self, plan: Plan, sigmas: Tensor, noise_sampler: NoiseSampler) -> None:
        self._sigmas, self._noise_sampler, self._counts = sigmas, noise_sampler, _draws(plan)

    def __call__(self, like: Tensor, interval: int, draw: int, clock: Clock | None) -> Tensor:
        start, end = self._sigmas[interval], self._sigmas[interval + 1]
        count = max(self._counts[interval], draw + 1)
        pieces = (start + (end - start) * (each / count) for each in (draw, draw + 1))
        whole = (start, end) if count == 1 else tuple(pieces)
        return self._noise_sampler(*whole).to(like)


class _Keyed:
    """Noise that is keyed for each row of the batch."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(self, like: Tensor, interval: int, draw: int, clock: Clock | None) -> Tensor:
        return KeyedNoise(self._seed, range(like.shape[0]))(like, interval, draw)


def _unseeded(like: Tensor, interval: int, draw: int, clock: Clock | None) -> Tensor:
    return torch.randn_like(like)


def _draws(plan: Plan) -> Counter[int]:
    """How many draws each interval makes, from a run on zeros; none are known where a scheduler chooses its steps."""
    counts: Counter[int] = Counter()
    if plan.scheduler.adaptive:
        return counts

    def counting(like: Tensor, interval: int, draw: int, clock: Clock | None) -> Tensor:
        counts[interval] += 1
        return torch.zeros_like(like)

    # v is the one prediction that is defined at both ends
    run = replace(plan, prediction=Prediction.V).start(torch.zeros(1, 1, dtype=torch.float64), noise=counting)
    while run.query is not None:
        run.advance(torch.zeros_like(run.sample), uncond=torch.zeros_like(run.sample))
    return counts
