"""Sources of random noise: stateless draws, each keyed by what it is for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

Clock = tuple[float, float]
"""Start and end of an increment, in the step's own clock."""


class NoiseSource(Protocol):
    """What a run draws its noise from: any callable with this signature."""

    def __call__(self, like: Tensor, interval: int, draw: int, clock: Clock | None) -> Tensor:
        """Standard normal noise of the shape, dtype and device of ``like``.

        Args:
            like: the sample, (batch, …).
            interval: the step it is for.
            draw: how many draws were made before within the interval.
            clock: the piece of the step's own clock that the increment covers, for sources that are one path.
        """
        ...


class KeyedNoise:
    """Independent draws, each keyed by (seed, sample, interval, draw).

    A draw depends on nothing else: not on the batch it is in, the order of drawing, the device or earlier draws. It is
    made on the host by numpy's counter-based Philox generator, in float32.

    Args:
        seed: seed of the whole request.
        samples: the index of each row of the batch within the request.
    """

    def __init__(self, seed: int, samples: Sequence[int] = (0,)) -> None:
        self.seed, self.samples = seed, tuple(samples)

    def __call__(self, like: Tensor, interval: int, draw: int, clock: Clock | None = None) -> Tensor:
        """See ``NoiseSource``; the clock is ignored."""
        return self._draw(like, f"{interval}/{draw}")

    def initial(self, like: Tensor) -> Tensor:
        """The noise a run begins from, in the shape, dtype and device of ``like``."""
        return self._draw(like, "initial")

    def _draw(self, like: Tensor, purpose: str) -> Tensor:
        if like.shape[0] != len(self.samples):
            raise ValueError(f"{len(self.samples)} sample indices for a batch of {like.shape[0]}")
        shape = tuple(like.shape[1:])
        rows = [self._stream(sample, purpose).standard_normal(shape, dtype=np.float32) for sample in self.samples]
        return torch.from_numpy(np.stack(rows)).to(device=like.device, dtype=like.dtype)

    def _stream(self, sample: int, purpose: str) -> np.random.Generator:
        text = f"{self.seed}/{sample}/{purpose}"
        key = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")
        return np.random.Generator(np.random.Philox(key=key))


class Noise:
    """What a step draws its noise from. It counts the draws, so that each has its own key.

    Attributes:
        draws: how many were made within the interval, by earlier steps of an adaptive method too.
    """

    def __init__(self, source: NoiseSource, like: Tensor, interval: int, draws: int = 0) -> None:
        self._source, self._like, self._interval, self.draws = source, like, interval, draws

    def __call__(self, begin: float | None = None, end: float | None = None) -> Tensor:
        """Standard normal noise like the sample.

        Without arguments a fresh draw. With two, the normalised increment over [begin, end] of the step's own clock;
        pieces must be consecutive and never overlap.
        """
        clock = None if begin is None or end is None else (begin, end)
        noise = self._source(self._like, self._interval, self.draws, clock)
        self.draws += 1
        return noise
