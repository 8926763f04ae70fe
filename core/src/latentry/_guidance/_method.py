"""What a guidance plugin writes: options, and one rule that makes one output of several.

    class Mine(GuidanceMethod):
        def guide(self, query, memory):
            uncond, cond = yield UNCOND, COND
            return torch.lerp(uncond.output, cond.output, query.scale), memory

A method never calls the network. It yields the branches that it wants, is sent an answer for each, and returns the
output that the solver sees. The host adds what is the same for all methods: the guidance interval, outside of which
the output is that of the prompt, rescaling, and skip-layer guidance.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from torch import Tensor

from latentry._guidance._evaluate import Branch
from latentry._numerics._denoised import Denoised
from latentry._numerics._interval import NoMemory
from latentry._numerics._layout import Layout
from latentry._numerics._linear import combine
from latentry._numerics._options import Options
from latentry._numerics._processes._point import Point, Query
from latentry._numerics._processes._prediction import Forms, forms

Guide = Generator[tuple[Branch, ...], tuple[Denoised, ...], tuple[Tensor, Any]]
"""What ``GuidanceMethod.guide`` is: it yields branches, is sent their answers, and returns (output, memory)."""


@dataclass(frozen=True)
class GuidedQuery:
    """One evaluation that a run asks for, and what guidance may want to know about it.

    Attributes:
        query: of the run.
        plan: of the run.
        scale: the guidance scale of the request, here; 1 for networks that take it as an input.
    """

    query: Query
    plan: Layout
    scale: float

    @property
    def x(self) -> Tensor:
        """The process's own x, (batch, …), float32 or float64."""
        return self.query.x

    @property
    def point(self) -> Point:
        """The noise level of x."""
        return self.query.point

    @property
    def start(self) -> Point:
        """The noise level that the step begins at; x has another one where a step is evaluated within."""
        return self.plan.points[self.index]

    @property
    def end(self) -> Point:
        """The noise level that the step goes to."""
        return self.plan.points[self.index + 1]

    @property
    def index(self) -> int:
        """Which step of the run, from 0."""
        return self.query.index

    @property
    def stage(self) -> int:
        """Which evaluation within the step, from 0."""
        return self.query.stage

    @property
    def count(self) -> int:
        """Steps of the run."""
        return len(self.plan)

    def answer(self, output: Tensor) -> Denoised:
        """An output of the network in every form: ``output``, ``x0``, ``eps`` and ``v``."""
        return Denoised(self.x, self.point, output, self._forms)

    def from_x0(self, x0: Tensor) -> Tensor:
        """The network output that means this clean sample x₀.

        Raises:
            ZeroDivisionError: at σ = 0, where every output means x₀ = x.
        """
        return combine((1.0 / self._forms.x0_out, x0), (-self._forms.x0_x / self._forms.x0_out, self.x))

    def from_eps(self, eps: Tensor) -> Tensor:
        """The network output that means this noise ε.

        Raises:
            ZeroDivisionError: at α = 0, where every output means ε = x/σ.
        """
        return combine((1.0 / self._forms.eps_out, eps), (-self._forms.eps_x / self._forms.eps_out, self.x))

    def from_v(self, v: Tensor) -> Tensor:
        """The network output that means this flow velocity v = ε − x₀; defined at every level."""
        on_output = self._forms.eps_out - self._forms.x0_out
        return combine((1.0 / on_output, v), ((self._forms.x0_x - self._forms.eps_x) / on_output, self.x))

    @cached_property
    def _forms(self) -> Forms:
        return forms(self.plan.prediction, self.point, self.plan.process.data_std)


class GuidanceMethod(Options, ABC):
    """Options, and the rule that makes one output of several. Its fields are its options; unknown ones are refused.

    Class attributes:
        Memory: a NamedTuple type, constructible without arguments, of tensors (batch, …) and plain values: what is kept
            from one evaluation to the next.
    """

    Memory: ClassVar[type] = NoMemory

    @abstractmethod
    def guide(self, query: GuidedQuery, memory: Any) -> Guide:
        """Makes one output. Each ``yield`` of branches gives the network's answer to each of them.

        Every picture of the batch is computed as if it were alone, and each answer's forms are alike whatever the
        network predicts. Nothing is written into an answer or ``memory``, and nothing waits for the device.

        Args:
            query: level, x, position and scale.
            memory: what the last evaluation of the run returned; an empty ``Memory()`` on the first.

        Returns:
            the output, as the network itself would give it (see ``GuidedQuery.from_x0``), and the new memory.
        """
