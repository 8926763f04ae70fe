"""What changes over a run besides the sample and its noise level."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from latentry._contract._conditioning import SCALE, Conditioning
from latentry._contract._curve import Curve, value_at
from latentry._errors import IncompatibleError
from latentry._numerics._processes._point import Query


@dataclass(frozen=True)
class Changing:
    """The values of one network that change from one evaluation to the next.

    Attributes:
        steps: of the run.
        flow: noise levels are σ, and not σ/α.
        loras: weights of the LoRAs that have them at each evaluation.
        scale: the guidance scale of a network that takes it as an input; None where it does not change.
    """

    steps: int = 1
    flow: bool = False
    loras: tuple[Curve, ...] = ()
    scale: Curve | None = None

    def weights(self, query: Query) -> tuple[float, ...]:
        """The weights of those LoRAs."""
        return tuple(value_at(curve, query, self.steps, flow=self.flow) for curve in self.loras)

    def told(self, query: Query, conditioning: Conditioning) -> Conditioning:
        """The conditioning with the guidance scale of a query.

        Raises:
            IncompatibleError: the scale is not among what the family tells its network.
        """
        if self.scale is None:
            return conditioning
        if SCALE not in conditioning:
            raise IncompatibleError(
                "The guidance scale of this model cannot change over the run.",
                why=f"Its network takes the scale as an input, but not under the name {SCALE!r} in its conditioning.",
                remedy="Use a number.",
                field="guidance",
            )
        now = value_at(self.scale, query, self.steps, flow=self.flow)
        return Conditioning({**conditioning.tensors, SCALE: torch.full_like(conditioning[SCALE], now)})


UNCHANGING = Changing()
