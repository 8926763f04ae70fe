"""What a pipeline gives to ``set_timesteps``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latentry import OptionError


@dataclass(frozen=True)
class Request:
    """What a pipeline asks for; all but one of the first three are None.

    Attributes:
        steps: how many steps.
        timesteps: the model's timesteps at which they start.
        sigmas: the levels at which they start, before the time shift: σ/α on VP and EDM, σ on flow.
        mu: log of the time shift, where the pipeline works it out from the size.
    """

    steps: int | None = None
    timesteps: Sequence[float] | None = None
    sigmas: Sequence[float] | None = None
    mu: float | None = None

    @property
    def own_levels(self) -> bool:
        """Whether the user gave levels; FLUX's pipelines always pass an even list, which only says how many steps."""
        if self.timesteps is not None:
            return True
        if self.sigmas is None:
            return False
        count = len(self.sigmas)
        return not np.allclose(self.sigmas, np.linspace(1.0, 1.0 / count, count), atol=1e-6)

    @property
    def count(self) -> int:
        """How many steps are asked for."""
        for given in (self.timesteps, self.sigmas):
            if given is not None:
                return len(given)
        if self.steps is None:
            raise OptionError("set_timesteps needs a number of steps, timesteps or sigmas.")
        return self.steps
