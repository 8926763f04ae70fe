"""Plan files: a table as JSON, with what it was made by. ``docs/plan-files.md`` describes the format."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from latentry._errors import IncompatibleError, OptionError
from latentry._numerics._plan import Plan
from latentry._numerics._processes._point import Point
from latentry._numerics._processes._prediction import Prediction
from latentry._numerics._processes._process import Process
from latentry._numerics._running._noise import Clock
from latentry._numerics._table._table import (
    Combine,
    Draw,
    Evaluate,
    Guard,
    Operation,
    Table,
    TableStep,
    Term,
    made,
    needed,
)
from latentry._numerics._table._tabled import tabled
from latentry._specs import ProcessKind

FORMAT = "latentry-plan"
VERSION = 1
"""Of the format. It rises when a file may hold what an older reader does not know; readers refuse what they do not."""
KINDS = ("evaluate", "combine", "draw", "guard")
"""The operations, each by the key that only it has."""
NEAR = 1e-6
"""How far a level may be off the one that the process has there, relative."""

Number = Annotated[float, Field(allow_inf_nan=False)]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Level(_Data):
    lam: float
    alpha: Number
    sigma: Number
    timestep: Number
    scale: Number

    def point(self) -> Point:
        return Point(self.lam, self.alpha, self.sigma, self.timestep, self.scale)


class _Combine(_Data):
    combine: tuple[tuple[Number, str], ...]
    into: str

    def operation(self) -> Operation:
        return Combine(self.into, tuple(Term(*term) for term in self.combine))


class _Draw(_Data):
    draw: int = Field(ge=0)
    clock: Clock | None = None
    into: str

    def operation(self) -> Operation:
        return Draw(self.into, self.draw, self.clock)


class _GuardedBy(_Data):
    first: str
    full: str
    denoised: str
    gain: Number
    kappa: Number = Field(gt=0.0)


class _Guard(_Data):
    guard: _GuardedBy
    into: str

    def operation(self) -> Operation:
        return Guard(self.into, **self.guard.model_dump())


class _Evaluate(_Data):
    evaluate: str
    timestep: Number
    scale: Number
    level: _Level
    into: str
    uncond: str | None = None

    def operation(self) -> Operation:
        point = self.level.point()
        if self.scale != point.scale:
            raise ValueError("the scale of an evaluation is not that of its level")
        return Evaluate(self.into, self.evaluate, point, self.timestep, self.uncond)


def _which(value: Any) -> str | None:
    """Which operation a JSON object is."""
    return next(
        (key for key in ("evaluate", "combine", "draw", "guard") if isinstance(value, dict) and key in value), None
    )


_Operation = Annotated[
    Annotated[_Evaluate, Tag("evaluate")]
    | Annotated[_Combine, Tag("combine")]
    | Annotated[_Draw, Tag("draw")]
    | Annotated[_Guard, Tag("guard")],
    Discriminator(
        _which, custom_error_type="operation", custom_error_message="is not an operation that this version knows"
    ),
]


class _Step(_Data):
    index: int = Field(ge=0)
    sample: str
    do: tuple[_Operation, ...]
    result: str
    drop: tuple[str, ...]

    def step(self) -> TableStep:
        return TableStep(self.index, self.sample, tuple(each.operation() for each in self.do), self.result, self.drop)


class MadeFor(_Data):
    """What a tuned plan was made for.

    Attributes:
        model: fingerprint of the model's files.
        guidance: the least and the largest guidance scale it is good for.
    """

    model: str
    guidance: tuple[Number, Number]

    def suits(self, guidance: float) -> bool:
        """Whether it is good for a guidance scale."""
        return self.guidance[0] <= guidance <= self.guidance[1]


class _Content(_Data):
    format: Literal["latentry-plan"]
    version: int
    made_by: dict[str, Any]
    made_for: MadeFor | None = None
    process: ProcessKind
    prediction: Prediction
    initial_noise: Number
    levels: tuple[_Level, ...] = Field(min_length=2)
    steps: tuple[_Step, ...] = Field(min_length=1)


@dataclass(frozen=True)
class PlanFile:
    """A table and what it was made by.

    Attributes:
        table: the plan.
        made_by: plain values for people: scheduler, options, sigma schedule, model, versions.
        made_for: the only model and guidance it is good for; None where any of its process and prediction will do.
    """

    table: Table
    made_by: Mapping[str, Any] = field(default_factory=dict)
    made_for: MadeFor | None = None

    def to_json(self) -> str:
        """The file's text, one operation a line."""
        table = self.table
        about = {
            "format": FORMAT,
            "version": VERSION,
            "made_by": dict(self.made_by),
            **({} if self.made_for is None else {"made_for": self.made_for.model_dump()}),
            "process": table.process,
            "prediction": str(table.prediction),
            "initial_noise": max(1.0, table.points[0].sigma),
        }
        levels = ",\n".join(f"    {_compact(_level(point))}" for point in table.points)
        steps = ",\n".join(_step(step) for step in table.steps)
        head = json.dumps(about, indent=2, allow_nan=False).removesuffix("\n}")
        return f'{head},\n  "levels": [\n{levels}\n  ],\n  "steps": [\n{steps}\n  ]\n}}\n'

    @classmethod
    def from_json(cls, text: str | bytes) -> PlanFile:
        """Reads what ``to_json`` wrote, or another program.

        Raises:
            OptionError: it is not a plan file, it holds something that this version does not know, or its steps use
                tensors that they do not make.
        """
        try:
            content = _Content.model_validate_json(text)
        except ValidationError as error:
            raise _not_readable(_first_fault(error)) from error
        if content.version != VERSION:
            raise _not_readable(f"Its version is {content.version}; this version of latentry reads {VERSION}.")
        try:
            steps = tuple(each.step() for each in content.steps)
            _check(steps, len(content.levels) - 1)
        except ValueError as error:
            raise _not_readable(f"In its steps, {error}.") from error
        points = tuple(level.point() for level in content.levels)
        return cls(Table(content.process, content.prediction, points, steps), content.made_by, content.made_for)

    def __len__(self) -> int:
        """How many steps it has."""
        return len(self.table.steps)

    @property
    def digest(self) -> str:
        """sha256 of the numbers, without what made them."""
        return hashlib.sha256("\n".join(_step(step) for step in self.table.steps).encode()).hexdigest()

    def plan(self, process: Process, prediction: Prediction) -> Plan:
        """The plan, for a model with this noise process and prediction type.

        Raises:
            IncompatibleError: the file was made for another.
        """
        table = self.table
        if (table.process, table.prediction) != (process.kind, prediction):
            raise IncompatibleError(
                "The plan file was made for another kind of model.",
                why=f"It is for {table.process} and {table.prediction}; this model is {process.kind} and {prediction}.",
                remedy="Export the plan again for this model.",
                field="plan",
            )
        for point in (*table.points, *(evaluation.point for evaluation in table.evaluations)):
            here = process.at(lam=point.lam)
            if not all(math.isclose(a, b, rel_tol=NEAR, abs_tol=NEAR) for a, b in zip(point, here, strict=True)):
                raise IncompatibleError(
                    "The plan file was made for another noise process.",
                    why=f"At λ = {point.lam:.4g} it has α {point.alpha:.6g}, σ {point.sigma:.6g} and timestep "
                    f"{point.timestep:.6g}; this model has {here.alpha:.6g}, {here.sigma:.6g} and {here.timestep:.6g}.",
                    remedy="Export the plan again for this model.",
                    field="plan",
                )
        return Plan(tabled(table.steps, self.digest), process, prediction, table.points)


def _level(point: Point) -> dict[str, Any]:
    # JSON has no infinite numbers
    return {**point._asdict(), "lam": point.lam if math.isfinite(point.lam) else str(point.lam)}


def _step(step: TableStep) -> str:
    does = ",\n".join(f"        {_compact(_written(operation))}" for operation in step.operations)
    ends = f'"result": {_compact(step.result)}, "drop": {_compact(step.drop)}'
    return f'    {{"index": {step.index}, "sample": {_compact(step.sample)}, "do": [\n{does}\n      ], {ends}}}'


def _written(operation: Operation) -> dict[str, Any]:
    match operation:
        case Combine(into, terms):
            return {"combine": [list(term) for term in terms], "into": into}
        case Draw(into, number, clock):
            timed = {} if clock is None else {"clock": [t if math.isfinite(t) else str(t) for t in clock]}
            return {"draw": number, **timed, "into": into}
        case Guard(into):
            by = {name: getattr(operation, name) for name in ("first", "full", "denoised", "gain", "kappa")}
            return {"guard": by, "into": into}
        case Evaluate(into, x, point, timestep, uncond):
            lone = {} if uncond is None else {"uncond": uncond}
            shown = {"timestep": timestep, "scale": point.scale}
            return {"evaluate": x, **shown, "level": _level(point), "into": into, **lone}


def _compact(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


def _check(steps: tuple[TableStep, ...], count: int) -> None:
    """Each tensor is made once, before it is used, and not used after it was dropped.

    Raises:
        ValueError: what is wrong.
    """
    known: set[str] = set()
    last = -1
    for step in steps:
        if not last < step.index < count:
            raise ValueError(f"the index {step.index} is out of order")
        last = step.index
        for name, reads in ((step.sample, ()), *_reads(step)):
            if missing := [other for other in reads if other not in known]:
                raise ValueError(f"{missing[0]!r} is used in step {step.index} and not made before")
            if name in known:
                raise ValueError(f"{name!r} is made twice")
            known.add(name)
        if not step.evaluations:
            raise ValueError(f"step {step.index} has no evaluation")
        if missing := [name for name in (step.result, *step.drop) if name not in known]:
            raise ValueError(f"{missing[0]!r} is used in step {step.index} and not made before")
        known -= set(step.drop)


def _reads(step: TableStep) -> Iterator[tuple[str, tuple[str, ...]]]:
    for operation in step.operations:
        yield from ((name, tuple(needed(operation))) for name in made(operation))


def _first_fault(error: ValidationError) -> str:
    detail = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in detail["loc"])
    return f"{place}: {detail['msg']}." if place else f"{detail['msg']}."


def _not_readable(why: str) -> OptionError:
    return OptionError(
        "The file is not a plan file that this version can read.",
        why=why,
        remedy="Make one with `latentry plan export`.",
        field="plan",
    )
