"""Guided runs on networks with two answers, one for each side of the guidance."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from latentry import Curve, Query, Run, RunState, Scheduler, Trailing
from latentry._guidance._evaluate import Branch
from latentry._guidance._guidance import ByMethod, Guided
from latentry.guidance import GuidanceMethod
from support.oracles import PROCESSES, emitted
from support.toys import First

STEPS = 6


def drawn(seed: int, *shape: int) -> Tensor:
    """Standard normal values in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by(
    method: GuidanceMethod,
    *,
    scale: float | Curve = 3.0,
    kind: str = "vp-v",
    scheduler: Scheduler | None = None,
    **more: Any,
) -> ByMethod:
    """Guidance at all of six steps on one of the processes of ``oracles.PROCESSES``."""
    process, prediction = PROCESSES[kind]
    plan = (scheduler or First()).plan(STEPS, process=process, prediction=prediction, sigmas=Trailing())
    always = "uncond" in plan.scheduler.needs
    return ByMethod(method, scale, range(STEPS), plan, **({"always": always} | more))


class Network:
    """Its x₀ bends towards one colour with the prompt and towards another without it; it says so in the form of the
    plan's prediction type, and remembers which branches were asked for together.
    """

    def __init__(self, guidance: ByMethod) -> None:
        self.guidance, self.passes = guidance, list[tuple[Branch, ...]]()

    def __call__(self, query: Query, *branches: Branch) -> tuple[Tensor, ...]:
        self.passes.append(branches)
        plan, point = self.guidance.plan, query.point
        found = []
        for branch in branches:
            x0 = torch.tanh(query.x) * (-0.4 if branch.negative else 0.7) + (0.1 if branch.negative else 0.3)
            if branch.weak_model:
                x0 = x0 * 0.8 - 0.1
            if branch.attention is not None:
                x0 = x0 * 0.6 - 0.2 * len(branch.attention.blocks)
            eps = (query.x - point.alpha * x0) / point.sigma
            found.append(emitted(plan.prediction, point, x0, eps))
        return tuple(found)


def sampled(
    guidance: ByMethod,
    x: Tensor,
    *,
    state: tuple[RunState, RunState] | None = None,
    stop: int | None = None,
    seed: int = 3,
) -> tuple[Run, Any, Network]:
    """A run to its end, or after so many more evaluations; its memory, and its network.

    Args:
        guidance: of the run.
        x: where it starts.
        state: of a run and of its guidance, to go on from.
        stop: after so many evaluations.
        seed: of the noise.
    """
    plan: Any = guidance.plan
    run = plan.start(x, seed=seed) if state is None else plan.resume(state[0], seed=seed)
    memory = guidance.empty if state is None else guidance.memory(state[1])
    network = Network(guidance)
    while (query := run.query) is not None and stop != 0:
        found: Guided = guidance(network, query, memory)
        memory = found.memory
        run.advance(found.output, uncond=found.uncond)
        stop = None if stop is None else stop - 1
    return run, memory, network
