"""A table as text: a formula for each query and each sample."""

from __future__ import annotations

from collections.abc import Iterator

from latentry._numerics._processes._point import Point
from latentry._numerics._table._table import Combine, Draw, Evaluate, Guard, Operation, Table, TableStep


def formulas(table: Table) -> Iterator[str]:
    """Lines that say what each step computes, in the names of the plan file."""
    points = table.points
    for number, step in enumerate(table.steps):
        start, end = points[step.index], points[step.index + 1]
        yield f"step {step.index + 1}: σ/α {_number(start.s)} to {_number(end.s)}"
        after = table.steps[number + 1].sample if number + 1 < len(table.steps) else f"x{step.index + 1}"
        yield from (f"  {line}" for line in _lines(step, after))


def _lines(step: TableStep, after: str) -> Iterator[str]:
    for operation in step.operations:
        yield f"{operation.into} = {_value(operation)}"
    yield f"{after} = {step.result}"


def _value(operation: Operation) -> str:
    match operation:
        case Combine(_, terms):
            return _sum(terms) or "0"
        case Draw(_, _, None):
            return "noise"
        case Draw(_, _, (begin, end)):
            return f"noise over {_number(begin)} to {_number(end)}"
        case Guard(_, first, full, denoised, gain, kappa):
            return f"guard({first}, {full}, {denoised}, gain = {_number(gain)}, κ = {_number(kappa)})"
        case Evaluate(_, x, point, timestep):
            return f"network({_input(x, point)}, t = {_number(timestep)})"
    raise AssertionError(operation)


def _sum(terms: tuple[tuple[float, str], ...]) -> str:
    text = ""
    for coefficient, name in terms:
        sign = ("−" if coefficient < 0 else "+") if text else "−" if coefficient < 0 else ""
        part = f"{_number(abs(coefficient))}·{name}" if abs(coefficient) != 1.0 else name
        text += f" {sign} {part}" if text else sign + part
    return text


def _input(name: str, point: Point) -> str:
    return name if point.scale == 1.0 else f"{_number(point.scale)}·{name}"


def _number(value: float) -> str:
    return f"{value:.6g}".replace("-", "−").replace("inf", "∞")
