"""The noise of a run inside a pipeline: from the generators that the pipeline passes, or keyed by a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from latentry import KeyedNoise

Generators = torch.Generator | Sequence[torch.Generator] | None
_HASHED = 64
"""How many values of the first sample go into the seed."""


class PipelineNoise:
    """Draws of one run.

    Draws of the open step are kept: a copied run replays the step from its start, and a generator cannot be rewound.

    Args:
        seed: keys the draws where a pipeline passes no generator; None derives one from the first sample, which the
            pipeline drew from the user's generator.
        first: the sample that the run starts from.

    Attributes:
        generators: what the pipeline passed last: one for the batch, or one for each row.
    """

    def __init__(self, seed: int | None, first: Tensor) -> None:
        self.generators: Generators = None
        self._seed, self._first = seed, first
        self._kept: dict[tuple[int, int], Tensor] = {}

    def __call__(self, like: Tensor, interval: int, draw: int, clock: tuple[float, float] | None) -> Tensor:
        """See ``latentry.NoiseSource``."""
        self._kept = {key: noise for key, noise in self._kept.items() if key[0] == interval}
        if (interval, draw) not in self._kept:
            self._kept[interval, draw] = self._draw(like, interval, draw)
        return self._kept[interval, draw]

    def copy(self) -> PipelineNoise:
        """A copy that draws independently; the pipeline that runs it passes its own generators."""
        twin = PipelineNoise(self._seed, self._first)
        twin._kept = dict(self._kept)
        return twin

    def _draw(self, like: Tensor, interval: int, draw: int) -> Tensor:
        if isinstance(self.generators, torch.Generator):
            return _from_generator(like, self.generators)
        if self.generators:
            rows = zip(like.chunk(like.shape[0]), self.generators, strict=True)
            return torch.cat([_from_generator(row, generator) for row, generator in rows])
        if self._seed is None:
            self._seed = seed_of(self._first)
        return KeyedNoise(self._seed, range(like.shape[0]))(like, interval, draw)


def _from_generator(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, device=generator.device).to(like)


def seed_of(sample: Tensor) -> int:
    values = sample.flatten()[:_HASHED].float().cpu().numpy().tobytes()  # one small transfer, at a run's first draw
    return int.from_bytes(hashlib.blake2b(values, digest_size=4).digest(), "little")
