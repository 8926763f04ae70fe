"""The variance-preserving process of DDPM: Stable Diffusion 1.5, 2.1 and SDXL."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np

from latentry._numerics._processes._point import Point
from latentry._numerics._processes._process import Process, s_of
from latentry._specs import ProcessKind

BetaSchedule = Literal["linear", "scaled_linear", "squaredcos_cap_v2"]


@dataclass(frozen=True)
class VariancePreserving(Process):
    """α² + σ² = 1, with α² = ᾱ_t the running product of 1 − β (Ho et al. 2020, arXiv:2006.11239, eq. 4).

    Between two timesteps of the table the angle atan2(σ, α) is interpolated: unlike log σ it is finite at both ends,
    so a table with zero terminal SNR needs no special case.

    Attributes:
        alphas_cumprod: ᾱ_t by timestep, falling; the last may be 0.
    """

    alphas_cumprod: tuple[float, ...]
    kind: ClassVar[ProcessKind] = "vp"

    def __post_init__(self) -> None:
        table = self.alphas_cumprod
        falling = all(a > b for a, b in pairwise(table))
        if len(table) < 2 or not falling or not 0.0 <= table[-1] < table[0] < 1.0:
            raise ValueError("alphas_cumprod must hold at least two values that fall strictly within 0 <= a < 1")

    @classmethod
    def from_betas(
        cls,
        schedule: BetaSchedule = "scaled_linear",
        *,
        start: float = 0.00085,
        end: float = 0.012,
        timesteps: int = 1000,
    ) -> VariancePreserving:
        """The usual tables; the defaults are Stable Diffusion 1.5's.

        Args:
            schedule: ``linear`` in β (DDPM), ``scaled_linear`` in √β (Stable Diffusion) or ``squaredcos_cap_v2``
                (Nichol and Dhariwal 2021, arXiv:2102.09672, eq. 17; ``start`` and ``end`` have no part in it).
            start: β of the first timestep.
            end: β of the last timestep.
            timesteps: how many there are.
        """
        if schedule == "linear":
            betas = np.linspace(start, end, timesteps, dtype=np.float64)
        elif schedule == "scaled_linear":
            betas = np.linspace(math.sqrt(start), math.sqrt(end), timesteps, dtype=np.float64) ** 2
        else:
            t = np.arange(timesteps + 1, dtype=np.float64) / timesteps
            cumulative = np.cos((t + 0.008) / 1.008 * (math.pi / 2)) ** 2
            betas = np.minimum(1.0 - cumulative[1:] / cumulative[:-1], 0.999)
        return cls(tuple(np.cumprod(1.0 - betas).tolist()))

    def zero_terminal_snr(self) -> VariancePreserving:
        """The table rescaled so that its last level is pure noise (Lin et al. 2023, arXiv:2305.08891, alg. 1)."""
        alpha = np.sqrt(np.asarray(self.alphas_cumprod, dtype=np.float64))
        rescaled = (alpha - alpha[-1]) * (alpha[0] / (alpha[0] - alpha[-1]))
        return VariancePreserving(tuple((rescaled**2).tolist()))

    @property
    def timesteps(self) -> int:  # type: ignore[override]
        """Number of training timesteps."""
        return len(self.alphas_cumprod)

    @cached_property
    def angles(self) -> tuple[float, ...]:
        """atan2(σ, α) by timestep, rising from near 0 to π/2 at most."""
        return tuple(math.atan2(math.sqrt(1.0 - a), math.sqrt(a)) for a in self.alphas_cumprod)

    @cached_property
    def noisiest(self) -> Point:
        """The last timestep."""
        return self.at_timestep(self.timesteps - 1)

    @cached_property
    def cleanest(self) -> Point:
        """Timestep 0."""
        return self.at_timestep(0)

    def at_timestep(self, timestep: float) -> Point:
        """See ``Process``."""
        if not 0 <= timestep <= self.timesteps - 1:
            raise ValueError(f"timestep {timestep} is outside the trained range 0..{self.timesteps - 1}")
        low = min(int(timestep), self.timesteps - 2)
        below, above = self.angles[low], self.angles[low + 1]
        angle = below + (timestep - low) * (above - below)
        if angle >= math.pi / 2:
            return Point(-math.inf, 0.0, 1.0, float(timestep))
        return Point(-math.log(math.tan(angle)), math.cos(angle), math.sin(angle), float(timestep))

    def at_lam(self, lam: float) -> Point:
        """See ``Process``."""
        if lam == -math.inf:
            return Point(lam, 0.0, 1.0, self.timesteps - 1.0)
        angle = math.atan(s_of(lam))
        return Point(lam, math.cos(angle), math.sin(angle), self._timestep(angle))

    def _timestep(self, angle: float) -> float:
        low = min(max(bisect.bisect_right(self.angles, angle) - 1, 0), self.timesteps - 2)
        below, above = self.angles[low], self.angles[low + 1]
        timestep = low + (angle - below) / (above - below)
        return min(max(timestep, 0.0), self.timesteps - 1.0)
