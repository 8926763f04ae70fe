"""Running plans on oracles, by the scheduler's own generators: the check ``table`` proves that tables do the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from latentry._numerics._plan import Plan
from latentry._numerics._processes._point import Query
from latentry._numerics._running._noise import NoiseSource
from latentry._numerics._running._run import Run

Network = Callable[[Query, Plan], Tensor]
"""Answers a plan's queries, as ``Oracle.answer`` does."""

MOST_EVALUATIONS = 20_000
"""After so many evaluations an adaptive run is taken not to end."""


def drive(plan: Plan, x: Tensor, network: Network, *, noise: NoiseSource | None = None, seed: int = 0) -> Tensor:
    """Runs a plan on a network and returns the sample at the end.

    Args:
        plan: what to run.
        x: (batch, …), the sample at the plan's first level.
        network: answers the queries, for example ``oracle.answer``.
        noise: where a stochastic scheduler draws from; by default keyed by ``seed``.
        seed: of the noise.
    """
    return torch.cat([finish(run, network) for run in start(plan, x, noise=noise, seed=seed)])


def start(
    plan: Plan,
    x: Tensor,
    *,
    noise: NoiseSource | None = None,
    seed: int = 0,
    samples: Sequence[int] | None = None,
) -> list[Run]:
    """The runs of a batch: one, or one for each sample where the scheduler is adaptive."""
    indices = range(len(x)) if samples is None else samples
    if not plan.scheduler.adaptive:
        return [plan.start(x, seed=seed, samples=indices, noise=noise, table=False)]
    rows = ((x[i : i + 1], index) for i, index in enumerate(indices))
    return [plan.start(row, seed=seed, samples=[index], noise=noise, table=False) for row, index in rows]


def finish(run: Run, network: Network) -> Tensor:
    """The sample at the end of a run that may have begun already."""
    for _ in range(MOST_EVALUATIONS):
        if not evaluate(run, network):
            return run.sample
    raise RuntimeError(f"the run has not ended after {MOST_EVALUATIONS} evaluations")


def trace(run: Run, network: Network) -> list[Tensor]:
    """The samples at the boundaries of a plan, from the run's first to the last."""
    samples = [run.sample]
    while not run.done:
        index = run.index
        while run.index == index:
            evaluate(run, network)
        samples.append(run.sample)
    return samples


def evaluate(run: Run, network: Network) -> bool:
    """Answers the pending query; False at the end, where there is none."""
    query = run.query
    if query is not None:
        assert isinstance(run.plan, Plan)
        answer(run, network(query, run.plan))
    return query is not None


def answer(run: Run, output: Tensor) -> None:
    """Gives an output to the pending query, and the same as the unguided one where that is needed."""
    run.advance(output, uncond=output if "uncond" in run.plan.scheduler.needs else None)
