"""Noise from one Brownian path, the same path on every grid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from latentry._numerics._linear import combine
from latentry._numerics._running._noise import Clock, KeyedNoise

OCTAVES = 64
"""The path is resolved for clocks of a size from 2^−64 to 2^64; beyond lie 0 and ∞."""
LEAVES = 1 << 13
"""Places to an octave: a clock counts to one part in 12,000."""
TOP = 2 * OCTAVES * LEAVES


class BrownianNoise(KeyedNoise):
    """One standard Brownian path W for each (seed, sample), seen at whatever times a step asks for.

    A clock is any quantity of the step's own that rises along the run, most often a power of 1/s = α/σ; it may begin
    at 0 (pure noise) and end at ∞ (σ = 0). The increment over [a, b] comes normalised: (W(b) − W(a))/√(b − a). So
    consecutive pieces are independent and standard normal, and

        √(c − a)·z(a, c) = √(b − a)·z(a, b) + √(c − b)·z(b, c),

    which is what makes a run of 20 steps the refinement of one of 10. It holds exactly for the clock as the path sees
    it: rounded to places that are even in log |clock| (``LEAVES``). W(0) = 0; negative clocks have a path of their own.

    W is fixed from the ends inwards by bisection: the value at each dyadic place is a Brownian bridge between its
    neighbours plus a draw keyed by the place (Lévy's construction). A place is found in 20 bisections, of which a run
    repeats only those that two neighbouring times do not share. Nothing but the places of the last call is kept.
    Draws without a clock, and over a piece too short to be resolved, are ``KeyedNoise``'s.

    Args:
        seed: seed of the whole request.
        samples: the index of each row of the batch within the request.
    """

    def __init__(self, seed: int, samples: Sequence[int] = (0,)) -> None:
        super().__init__(seed, samples)
        self._known: dict[int, Tensor] = {}

    def __call__(self, like: Tensor, interval: int, draw: int, clock: Clock | None = None) -> Tensor:
        """See ``NoiseSource``."""
        if clock is None:
            return super().__call__(like, interval, draw)
        begin, end = (_place(time) for time in clock)
        if begin == end:
            return super().__call__(like, interval, draw)
        # on the host and in float64, so that the path is the same for every device and dtype
        origin = torch.zeros(like.shape, dtype=torch.float64)
        known = {place: w for place, w in self._known.items() if w.shape == origin.shape}
        first, on_first = self._descend(begin, origin, known)
        second, on_second = self._descend(end, origin, known | on_first)
        self._known = on_first | on_second
        length = abs(_time(end) - _time(begin))
        increment = (second - first) / math.sqrt(length)
        return increment.to(like.dtype).to(like.device)  # in this order: not every device has float64

    def _descend(self, place: int, origin: Tensor, known: Mapping[int, Tensor]) -> tuple[Tensor, dict[int, Tensor]]:
        """W at a place, and at every place on the way to it; those in ``known`` are not drawn again."""
        if place == 0:
            return origin, {}
        sign = 1 if place > 0 else -1
        low, high, w_low = 0, TOP, origin
        w_high = known.get(sign * TOP)
        if w_high is None:
            w_high = combine((math.sqrt(_time(TOP)), self._draw(origin, f"path/{sign * TOP}")))
        way = {sign * TOP: w_high}
        while high != abs(place):  # it lies in (low, high]
            middle = (low + high) // 2
            at = sign * middle
            w = known.get(at)
            way[at] = self._bridge(at, (low, middle, high), w_low, w_high) if w is None else w
            if middle < abs(place):
                low, w_low = middle, way[at]
            else:
                high, w_high = middle, way[at]
        return w_high, way

    def _bridge(self, at: int, places: tuple[int, int, int], w_low: Tensor, w_high: Tensor) -> Tensor:
        """W in the middle, given both sides: their interpolation, and a draw of the variance that is left."""
        low, middle, high = (_time(place) for place in places)
        part = (middle - low) / (high - low)
        spread = math.sqrt((middle - low) * (1.0 - part))
        return combine((1.0 - part, w_low), (part, w_high), (spread, self._draw(w_low, f"path/{at}")))


def _place(time: float) -> int:
    """The place nearest to a time: 0 is clock 0, ±TOP are ±∞."""
    if math.isnan(time):
        raise ValueError("a step's clock is not a number")
    if time == 0.0:
        return 0
    octave = OCTAVES if math.isinf(time) else min(max(math.log2(abs(time)), -OCTAVES), OCTAVES)
    return round(math.copysign((octave + OCTAVES) * LEAVES, time))


def _time(place: int) -> float:
    """The time of a place."""
    return math.copysign(2.0 ** (abs(place) / LEAVES - OCTAVES), place) if place else 0.0
