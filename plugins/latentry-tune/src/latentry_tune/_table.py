"""Coefficients as a table: what a plan file holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from latentry import Plan
from latentry.tables import Combine, Evaluate, Table, TableStep, Term
from latentry_tune._coefficients import Coefficients

LEAST = 1e-12
"""Smaller coefficients are what rounding left of 0."""


def table(method: Coefficients, plan: Plan) -> Table:
    """The steps, for a model of the plan's process and prediction type.

    Each sample is made of the one before it as far as that takes, so that few tensors are needed at a time.

    Args:
        method: the coefficients.
        plan: any plan for the model.
    """
    steps = tuple(_steps(method, replace(plan, points=method.points)))
    used = [{term.tensor for op in step.operations if isinstance(op, Combine) for term in op.terms} for step in steps]
    made = [{step.sample, *(op.into for op in step.operations)} for step in steps]
    kept: set[str] = set()
    dropping = []
    for i, step in enumerate(steps):
        later = set().union(*used[i + 1 :]) | {steps[i + 1].sample} if i + 1 < len(steps) else set()
        kept |= made[i]
        dropping.append(replace(step, drop=tuple(sorted(kept - later))))
        kept &= later
    return Table(plan.process.kind, plan.prediction, method.points, tuple(dropping))


def _steps(method: Coefficients, plan: Plan) -> Iterator[TableStep]:
    for i, point in enumerate(method.points[:-1]):
        x, output, x0, result = f"x{i}", f"out{i}.0", f"row{i}.0", f"row{i}.1"
        weights, start, kept = method.weights[i], method.start[i], 0.0
        if i > 0:
            kept = method.points[i + 1].sigma / point.sigma
            weights, start = weights - kept * method.weights[i - 1], start - kept * method.start[i - 1]
        terms = [(kept, x), (start, "x0"), *((weight, f"row{j}.0") for j, weight in enumerate(weights))]
        operations = (
            Evaluate(output, x, point, point.timestep),
            Combine(x0, _x0(plan, i, x, output)),
            Combine(result, tuple(Term(float(c), name) for c, name in terms if abs(c) > LEAST)),
        )
        yield TableStep(i, x, operations, result)


def _x0(plan: Plan, i: int, x: str, output: str) -> tuple[Term, ...]:
    """x₀ as a combination of the sample and the output, found on numbers."""
    factors = []
    for sample, out in ((1.0, 0.0), (0.0, 1.0)):
        run = plan[i : i + 1].start(torch.full((1, 1), sample, dtype=torch.float64), table=False)
        factors.append(float(run.denoise(torch.full((1, 1), out, dtype=torch.float64)).x0))
    return tuple(Term(factor, name) for factor, name in zip(factors, (x, output), strict=True) if factor != 0.0)
