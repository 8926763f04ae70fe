"""Guidance of a request: a method with what is the same for all, and skip-layer guidance on top."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from latentry._contract._curve import Curve, value_at
from latentry._discovery import plugin_call
from latentry._errors import IncompatibleError
from latentry._guidance._evaluate import COND, UNCOND, Branch, Evaluate
from latentry._guidance._method import GuidanceMethod, GuidedQuery
from latentry._guidance._method_check import check_branches, check_guide, check_result
from latentry._numerics._denoised import Denoised
from latentry._numerics._layout import Layout
from latentry._numerics._processes._point import Query
from latentry._numerics._running._state import RunState


class Guided(NamedTuple):
    """The guided output, the one with the prompt, the one without it where it was computed, and the new memory."""

    output: Tensor
    cond: Tensor
    uncond: Tensor | None
    memory: Any = ()


class Guidance(Protocol):
    """Combines several outputs into one."""

    @property
    def unconditional(self) -> bool:
        """Whether the unconditional output is ever needed."""
        ...

    @property
    def guided(self) -> bool:
        """Whether the output ever differs from the one with the prompt."""
        ...

    @property
    def empty(self) -> Any:
        """The memory at the start of a run."""
        ...

    def __call__(self, evaluate: Evaluate, query: Query, memory: Any) -> Guided:
        """Evaluates the network as often as it needs for a query.

        Args:
            evaluate: the network.
            query: of the run.
            memory: what the last call of this run returned, or ``empty``.
        """
        ...

    def state(self, memory: Any, index: int) -> RunState:
        """A memory as data; saved beside ``Run.state()`` it continues a guided run.

        Args:
            memory: what the last call returned.
            index: steps done.
        """
        ...

    def memory(self, state: RunState) -> Any:
        """The memory again, from ``state``.

        Raises:
            IncompatibleError: it belongs to another guidance or plan.
        """
        ...


@dataclass(frozen=True)
class ByMethod:
    """A guidance method, within its interval and rescaled.

    Attributes:
        method: makes one output of several.
        scale: the guidance scale; where it is a curve, steps at which it is ``neutral`` are as those that are not
            active.
        active: the steps that are guided (Kynkäänniemi et al. 2024, arXiv:2404.07724). At all others the output is
            cond, and nothing else is computed.
        plan: of the run.
        rescale: φ, the share of the output whose standard deviation is brought back to that of cond (Lin et al. 2023,
            arXiv:2305.08891, eq. 15 and 16).
        always: uncond is computed at every step, for schedulers that need it.
        neutral: the scale at which the method gives cond; None where there is none.
        asks: the kinds of branch that the method declares.
    """

    method: GuidanceMethod
    scale: float | Curve
    active: Container[int]
    plan: Layout
    rescale: float = 0.0
    always: bool = False
    neutral: float | None = 1.0
    asks: frozenset[str] = frozenset({"uncond"})

    @property
    def unconditional(self) -> bool:
        """See ``Guidance``."""
        return self.always or (self.guided and "uncond" in self.asks)

    @property
    def guided(self) -> bool:
        """See ``Guidance``."""
        return self.scale != self.neutral

    @property
    def empty(self) -> Any:
        """See ``Guidance``."""
        return self.method.Memory()

    def __call__(self, evaluate: Evaluate, query: Query, memory: Any) -> Guided:
        """See ``Guidance``; the branches that a method yields together share a forward pass where they can."""
        scale = value_at(self.scale, query, len(self.plan), flow=self.plan.process.kind == "flow")
        if scale != self.neutral and query.index in self.active:
            return self._by_method(evaluate, query, memory, scale)
        if not self.always:
            (cond,) = evaluate(query, COND)
            return Guided(cond, cond, None, memory)
        uncond, cond = evaluate(query, UNCOND, COND)
        return Guided(cond, cond, uncond, memory)

    def state(self, memory: Any, index: int) -> RunState:
        """See ``Guidance``."""
        return RunState.pack(self._fingerprint, index, self.plan.points[index], memory)

    def memory(self, state: RunState) -> Any:
        """See ``Guidance``."""
        if state.plan != self._fingerprint:
            raise IncompatibleError(
                "The saved guidance does not belong to this run.",
                why=f"It was saved with {state.plan[:80]}",
                remedy="Use the same method, options, scale and plan.",
            )
        return state.unpack(self.method.Memory)

    @property
    def _fingerprint(self) -> str:
        return f"{type(self.method).__name__}({self.method!r}) at {self.scale!r} on {self.plan.fingerprint}"

    @cached_property
    def _calling(self) -> plugin_call:
        return plugin_call(self.method)

    def _by_method(self, evaluate: Evaluate, query: Query, memory: Any, scale: float) -> Guided:
        asked, found = GuidedQuery(query, self.plan, scale), dict[Branch, Tensor]()
        with self._calling:
            guide = self.method.guide(asked, memory)
        check_guide(self.method, guide)
        answers: tuple[Denoised, ...] | None = None
        while True:
            with self._calling:
                try:
                    branches = next(guide) if answers is None else guide.send(answers)
                except StopIteration as stop:
                    result = stop.value
                    break
            check_branches(self.method, branches, self.asks)
            self._evaluate(evaluate, query, branches, found)
            answers = tuple(asked.answer(found[branch]) for branch in branches)
        self._evaluate(evaluate, query, (), found)  # for a method that yields nothing
        output, memory = check_result(self.method, result, query.x)
        return Guided(self._rescaled(output, found[COND]), found[COND], found.get(UNCOND), memory)

    def _evaluate(
        self, evaluate: Evaluate, query: Query, branches: tuple[Branch, ...], found: dict[Branch, Tensor]
    ) -> None:
        """Evaluates branches that have not been yet, and with the first ones what the host itself needs."""
        needed = (*branches, COND, *((UNCOND,) if self.always else ()))
        if missing := tuple(dict.fromkeys(branch for branch in needed if branch not in found)):
            found |= zip(missing, evaluate(query, *missing), strict=True)

    def _rescaled(self, output: Tensor, cond: Tensor) -> Tensor:
        if self.rescale == 0.0:
            return output
        spread = _spread(output)
        # an output of zeros has no spread, and stays as it is
        return torch.lerp(output, output * torch.where(spread > 0.0, _spread(cond) / spread, 1.0), self.rescale)


@dataclass(frozen=True)
class SkipLayer:
    """output + scale · (cond − cond without some layers), as Stability AI published it with SD3.5 Medium.

    Attributes:
        inner: the guidance it is added to.
        layers: the ones to leave out.
        scale: 0 has no effect.
        active: the steps at which it is added.
    """

    inner: Guidance
    layers: tuple[int, ...]
    scale: float
    active: Container[int]

    @property
    def unconditional(self) -> bool:
        """See ``Guidance``."""
        return self.inner.unconditional

    @property
    def guided(self) -> bool:
        """See ``Guidance``; of the guidance it is added to."""
        return self.inner.guided

    @property
    def empty(self) -> Any:
        """See ``Guidance``."""
        return self.inner.empty

    def state(self, memory: Any, index: int) -> RunState:
        """See ``Guidance``; of the guidance it is added to."""
        return self.inner.state(memory, index)

    def memory(self, state: RunState) -> Any:
        """See ``Guidance``."""
        return self.inner.memory(state)

    def __call__(self, evaluate: Evaluate, query: Query, memory: Any) -> Guided:
        """See ``Guidance``."""
        guided = self.inner(evaluate, query, memory)
        if query.index not in self.active:
            return guided
        (weak,) = evaluate(query, Branch(skip_layers=self.layers))
        return guided._replace(output=torch.add(guided.output, guided.cond - weak, alpha=self.scale))


def _spread(x: Tensor) -> Tensor:
    """Standard deviation of each sample."""
    return x.std(dim=tuple(range(1, x.ndim)), keepdim=True)
