"""The network of a request, for code that runs plans of its own: tuning, comparing, research."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from latentry._errors import IncompatibleError
from latentry._generate._batch._finite import FiniteCheck
from latentry._generate._batch._loop import Sampling
from latentry._numerics._processes._point import Query


class GuidedNetwork:
    """Answers queries for pictures of a request, each with its prompt, as the engine's own loop does.

    Args:
        sampling: of the request.

    Attributes:
        setup: everything that was decided about it.
    """

    def __init__(self, sampling: Sampling) -> None:
        self._sampling, self.setup = sampling, sampling.setup
        if len(self.setup.guidance.empty):
            raise IncompatibleError(
                f"The guidance method {self.setup.request.guidance_method!r} remembers earlier steps of a run.",
                why="Here the network is asked without one.",
                remedy="Use another method.",
                field="guidance_method",
            )
        if self.setup.step_cache is not None:
            raise IncompatibleError(
                "A step cache remembers earlier steps of a run.",
                why="Here the network is asked without one.",
                remedy="Leave it out.",
                field="step_cache",
            )

    def noise(self, pictures: Sequence[int]) -> Tensor:
        """The standard normal noise that pictures of the request begin with, (pictures, channels, height, width)."""
        return self._sampling.initial_noise(pictures)

    @torch.no_grad()
    def __call__(self, query: Query, pictures: Sequence[int]) -> Tensor:
        """The guided output for a query, of the shape of its sample.

        Args:
            query: of a plan for the request's process and prediction type.
            pictures: which of the request's pictures the rows of its sample are.

        Raises:
            NonFiniteError: the output is not finite.
        """
        check = FiniteCheck()
        guided = self.setup.guidance(self._sampling.evaluate(pictures, check), query, self.setup.guidance.empty)
        check.raise_first()
        return guided.output
