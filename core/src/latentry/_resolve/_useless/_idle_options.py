"""Options of schedulers, sigma schedules and guidance methods that change nothing in the run at hand, whatever their
value.

``churn_noise`` does nothing where there is no churn. Plugins need not declare that: the run is made on a few numbers,
with the option and with other values of it. An option whose value merely does not bind, such as a limit that is not
reached, is not idle: another value would change the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin
from zlib import crc32

import torch
from pydantic import BaseModel
from torch import Tensor

from latentry._errors import LatentryError
from latentry._guidance._evaluate import Branch
from latentry._guidance._guidance import Guidance
from latentry._guidance._method import GuidanceMethod
from latentry._numerics._plan import Plan
from latentry._numerics._processes._point import Query
from latentry._numerics._processes._prediction import Prediction
from latentry._numerics._solvers._guard import LATER, Guarded
from latentry._resolve._scheduler import ChosenScheduler
from latentry._resolve._sigmas import ChosenSigmas

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

Model = TypeVar("Model", bound=BaseModel)
Numbers = tuple[float, ...]
LayOut = Callable[[ChosenScheduler, ChosenSigmas], Plan]
Guide = Callable[[GuidanceMethod, Plan], Guidance]
NUMBERS = (0.02, 0.5, 0.97, 1.5, 4.0, 30.0)
"""What is tried for an option that is a number, as far as the option takes it."""
TIGHT = 1e-6
"""κ while the guard is switched: whether the network of a dry run reaches the real one says nothing about others."""
LONGEST = 5000
"""Evaluations of a dry run; a scheduler that chooses its own steps may need more on a network as bad as this one."""


@dataclass(frozen=True)
class Idle:
    """The idle options of a run, by name."""

    scheduler: tuple[str, ...] = ()
    sigmas: tuple[str, ...] = ()

    def reset(self, chosen: ChosenScheduler, sigmas: ChosenSigmas) -> tuple[ChosenScheduler, ChosenSigmas]:
        """Both with the defaults of the idle options, which make the same run."""
        scheduler = _with(chosen.scheduler, _defaults(chosen.scheduler, self.scheduler)) if self.scheduler else None
        schedule = _with(sigmas.schedule, _defaults(sigmas.schedule, self.sigmas)) if self.sigmas else None
        return (
            replace(chosen, scheduler=scheduler) if scheduler else chosen,
            replace(sigmas, schedule=schedule) if schedule else sigmas,
        )


def find_idle(chosen: ChosenScheduler, sigmas: ChosenSigmas, lay_out: LayOut) -> Idle:
    """The idle ones among the options that differ from their defaults; nothing is run where none does.

    Args:
        chosen: the scheduler with its options.
        sigmas: the sigma schedule with its options.
        lay_out: makes the plan of a scheduler on a schedule.
    """

    def run(scheduler: Any) -> Numbers:
        return dry_run(lay_out(replace(chosen, scheduler=scheduler), sigmas))

    def grid(schedule: Any) -> Numbers:
        return tuple(point.lam for point in lay_out(chosen, replace(sigmas, schedule=schedule)).points)

    of_sigmas = tuple(_idle(sigmas.schedule, grid)) if sigmas.name else ()
    return Idle(tuple(_idle(chosen.scheduler, run)), of_sigmas)


def find_idle_of_guidance(method: GuidanceMethod, guide: Guide, plan: Plan) -> tuple[str, ...]:
    """The names of a guidance method's idle options; none where nothing is guided, since then the method is idle.

    Args:
        method: with its options.
        guide: makes the guidance of a run by a method.
        plan: of the run.
    """
    # v is the one prediction that is defined at both ends
    plan = replace(plan, prediction=Prediction.V, hooks=())
    if not guide(method, plan).guided:
        return ()
    return tuple(_idle(method, lambda changed: _guided_run(plan, guide(changed, plan))))


def _guided_run(plan: Plan, guidance: Guidance) -> Numbers:
    """Likewise with guidance on a picture that is large enough for its frequencies; empty where a method fails here."""
    start = torch.linspace(-3.0, 3.0, 64, dtype=torch.float64).reshape(1, 1, 8, 8)
    run, memory = plan.start(start * plan.noise_scale(), seed=0, table=False), guidance.empty
    told: list[float] = []
    try:
        while (query := run.query) is not None and len(told) < LONGEST * 9:
            guided = guidance(_made_up, query, memory)
            memory = guided.memory
            told += guided.output.flatten().tolist()
            run.advance(guided.output, uncond=guided.uncond)
    except LatentryError:
        return ()
    return tuple(told)


def _made_up(query: Query, *branches: Branch) -> tuple[Tensor, ...]:
    """Outputs that differ from branch to branch, and in no simple way."""
    shares = (crc32(repr(branch).encode()) / 2**32 for branch in branches)
    return tuple(3.0 * torch.sin((1.5 + share) * query.x + share + 0.01 * query.timestep) for share in shares)


def dry_run(plan: Plan) -> Numbers:
    """What a plan makes of a few numbers with a made-up network: every sample that it asks about, and the last one.

    The network is so wrong that limits and thresholds come into play. NaN, which equals nothing, for a run too long.
    """
    start = torch.linspace(-3.0, 3.0, 8, dtype=torch.float64).reshape(1, 2, 2, 2)
    # v is the one prediction that is defined at both ends
    run = replace(plan, prediction=Prediction.V, hooks=()).start(start * plan.noise_scale(), seed=0, table=False)
    told: list[float] = []
    while (query := run.query) is not None:
        told += [query.timestep, *query.x.flatten().tolist()]
        if len(told) > LONGEST * 9:
            return (float("nan"),)
        output = 3.0 * torch.sin(2.0 * query.x + 0.01 * query.timestep)
        run.advance(output, uncond=0.5 * output)
    return (*told, *run.sample.flatten().tolist())


def _idle(model: BaseModel, outcome: Callable[[Any], Numbers]) -> Iterator[str]:
    expected: Numbers | None = None
    for name, field in type(model).model_fields.items():
        if getattr(model, name) == field.get_default(call_default_factory=True):
            continue
        expected = expected or outcome(model)
        if not expected:
            return
        base, before = model, expected
        if isinstance(model, Guarded) and name == "guard":
            base = model.model_copy(update={"guard_limit": TIGHT})
            before = _outcome(base, outcome)
        if isinstance(model, Guarded) and name in LATER and model.guard:
            continue  # it matters only where q lies between two limits, which other networks may reach
        others = (_with(base, {name: value}) for value in _values(field))
        if not any(other is not None and _outcome(other, outcome) != before for other in others):
            yield name


def _outcome(model: BaseModel, outcome: Callable[[Any], Numbers]) -> Numbers:
    """Empty where a run with such options is refused: then they matter."""
    try:
        return outcome(model)
    except LatentryError:
        return ()


def _with(model: Model, options: Mapping[str, Any]) -> Model | None:
    """The model with other options; None where it does not take them."""
    try:
        return type(model)(**{**dict(model), **options})
    except (ValueError, LatentryError):
        return None


def _defaults(model: BaseModel, names: tuple[str, ...]) -> Mapping[str, Any]:
    fields = type(model).model_fields
    return {name: fields[name].get_default(call_default_factory=True) for name in names}


def _values(field: FieldInfo) -> Iterator[Any]:
    """Values to try: the default, and some that its type and bounds may allow."""
    yield field.get_default(call_default_factory=True)
    yield from _of_type(field.annotation)
    for item in field.metadata:
        yield from (bound for name in ("ge", "le") if (bound := getattr(item, name, None)) is not None)


def _of_type(annotation: Any) -> Iterator[Any]:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        yield from (value for kind in inner for value in _of_type(kind))
    elif origin is Literal:
        yield from inner
    elif origin in (tuple, list, set, frozenset) and inner:
        yield from (origin([value]) for value in _of_type(inner[0]))
    elif annotation is bool:
        yield from (False, True)
    elif annotation is int:
        yield from range(6)
    elif annotation is float:
        yield from NUMBERS
    elif annotation is NoneType:
        yield None
