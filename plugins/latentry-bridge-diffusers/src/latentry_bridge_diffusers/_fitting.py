"""Makes a diffusers scheduler lay out given levels."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import torch

from latentry import Evaluator, Flow, IncompatibleError, Point, Process, ProcessKind, VariancePreserving

NEAR = 2e-3
"""How far apart two levels may be, relative to the larger: float32 tables, and timesteps that are rounded."""
_REFUSALS = (ValueError, ArithmeticError, LookupError, NotImplementedError, RuntimeError, TypeError)
"""What a class raises where it does not take some settings."""
MOST = 100
"""Steps of a full grid that are tried, where a run begins in its middle and one step of it is left."""


@dataclass(frozen=True)
class Fitted:
    """An object of a diffusers class with its timesteps set.

    Attributes:
        peer: the object.
        process: the checkpoint's.
        prediction: its prediction type.
        first: the entry of its timesteps at which the run begins.
        over_alpha: it holds x/α.
        levels: its own levels, one for each entry; None where it knows timesteps alone.
    """

    peer: Any
    process: Process
    prediction: str
    first: int
    over_alpha: bool
    levels: tuple[float, ...] | None

    def scale_of(self, point: Point) -> float:
        """What its sample is multiplied by to be the process's own."""
        return point.alpha if self.over_alpha else 1.0

    def level(self, entry: int, evaluate: Evaluator) -> Point:
        """The level of an entry, with the timestep that the object gives to the network."""
        timestep = float(self.peer.timesteps[entry])
        return _point(self, entry, evaluate.points)._replace(timestep=timestep)


def fitted(cls: type, options: Mapping[str, Any], process: Process, points: Sequence[Point]) -> Fitted:
    """The class made for a process and laid out on levels.

    Args:
        cls: a scheduler class of diffusers.
        options: of it.
        process: the checkpoint's noise process.
        points: the boundaries of the run.

    Raises:
        IncompatibleError: it cannot work on the process, or cannot lay these levels out.
    """
    if process.kind not in kinds(cls):
        raise IncompatibleError(f"{cls.__name__} is not for {process.kind} processes.", remedy="Use another scheduler.")
    for settings, call in _ways(cls, process, points):
        with warnings.catch_warnings(), suppress(*_REFUSALS):
            warnings.simplefilter("ignore")
            peer = cls(**_accepted(cls, {**options, **settings}))
            peer.set_timesteps(**call)
            made = _begun(peer, process, points, str(settings["prediction_type"]))
            if made is not None:
                return made
    raise IncompatibleError(
        f"{cls.__name__} cannot lay out these {len(points) - 1} steps.",
        why=f"It works on grids of its own; the run's levels are {', '.join(f'{p.s:.4g}' for p in points)} as σ/α.",
        remedy="Use --sigmas leading, linspace or trailing with --final zero or table, or another scheduler.",
    )


def kinds(cls: type) -> frozenset[ProcessKind]:
    """The noise processes that a class can be made for, by the settings it has."""
    if not (hasattr(cls, "step") and hasattr(cls, "set_timesteps")):
        return frozenset()
    settings = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    step = inspect.signature(cls.step).parameters.values()
    needed = {each.name for each in step if each.default is each.empty}
    found: set[ProcessKind] = set()
    if "stages" in settings or "Inverse" in cls.__name__ or needed - {"self", "model_output", "timestep", "sample"}:
        return frozenset()
    if "beta_schedule" in settings:
        found.add("vp")
    if "use_flow_sigmas" in settings or cls.__name__.startswith(("FlowMatch", "LTX")):
        found.add("flow")
    if cls.__name__.startswith("EDM"):
        found.add("edm")
    return frozenset(found)


def _ways(cls: type, process: Process, points: Sequence[Point]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Settings of the class and arguments of ``set_timesteps`` that may give these levels, the exact ones first."""
    training = _training(process, points)
    accepted = inspect.signature(cls.set_timesteps).parameters  # type: ignore[attr-defined]
    starts = points[:-1]
    if "sigmas" in accepted and process.kind != "edm":  # there they are places on its own Karras grid
        levels = [point.sigma if process.kind == "flow" else point.s for point in starts]
        if all(map(math.isfinite, levels)):
            end = points[-1].sigma if process.kind == "flow" else points[-1].s
            yield training, {"sigmas": levels}
            yield training, {"sigmas": [*levels, end]}  # as EulerDiscreteScheduler takes them
    whole = [round(point.timestep) for point in starts]
    if "timesteps" in accepted and process.kind == "vp" and len(set(whole)) == len(whole):
        yield training, {"timesteps": whole}
    spacings = ("leading", "trailing", "linspace") if process.kind == "vp" else ("linspace",)
    for steps, spacing, offset in product(_counts(process, starts), spacings, (1, 0)):
        yield {**training, "timestep_spacing": spacing, "steps_offset": offset}, {"num_inference_steps": steps}


def _training(process: Process, points: Sequence[Point]) -> dict[str, Any]:
    """What every way has in common: the checkpoint's process, and where the run ends."""
    zero = points[-1].sigma == 0.0
    common: dict[str, Any] = {"final_sigmas_type": "zero" if zero else "sigma_min", "set_alpha_to_one": zero}
    common |= {"clip_sample": False, "prediction_type": "epsilon"}
    if isinstance(process, VariancePreserving):
        table = [1.0, *process.alphas_cumprod]
        betas = [1.0 - after / before for before, after in pairwise(table)]
        if points[0].alpha == 0.0:
            common |= {"prediction_type": "v_prediction"}
        return common | {"num_train_timesteps": len(betas), "trained_betas": betas}
    if isinstance(process, Flow):
        flow = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "use_dynamic_shifting": False}
        shift = _shift(points)
        return common | flow | {"num_train_timesteps": int(process.multiplier), "shift": 1.0, "flow_shift": shift}
    return common | {
        "sigma_min": process.cleanest.sigma,
        "sigma_max": process.noisiest.sigma,
        "sigma_data": process.data_std,
    }


def _shift(points: Sequence[Point]) -> float:
    """The time shift that an even grid was given, from its second level; 1 where it has none."""
    count = len(points) - 1
    if count < 2 or points[0].sigma < 1.0 or points[1].sigma == 0.0:
        return 1.0
    even = 1.0 - 1.0 / count
    return points[1].s * (1.0 - even) / even


def _counts(process: Process, starts: Sequence[Point]) -> list[int]:
    """How many steps the full grid may have, of which the run takes the last ones."""
    own = len(starts)
    if process.timesteps is None:
        return [own]
    if own == 1:
        return [own, *range(2, MOST)]
    apart = starts[0].timestep - starts[1].timestep
    near = round(process.timesteps / apart) if apart > 0 else own
    return list(dict.fromkeys([own, *(n for n in range(max(own, near - 3), near + 4))]))


def _accepted(cls: type, settings: Mapping[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(cls.__init__).parameters  # type: ignore[misc]
    return {name: value for name, value in settings.items() if name in parameters}


def _begun(peer: Any, process: Process, points: Sequence[Point], prediction: str) -> Fitted | None:
    """The object from the entry on that has the first level, if all levels from there on are those of the points."""
    if hasattr(peer, "set_begin_index"):
        peer.set_begin_index(0)
    made = Fitted(peer, process, prediction, 0, _divides(peer, process), _own_levels(peer, process))
    found = [_point(made, entry, points) for entry in range(len(peer.timesteps))]
    first = next((i for i, point in enumerate(found) if point == points[0]), None)
    if first is None or not _covers(found[first:], points) or not _ends(made, points[-1]):
        return None
    if hasattr(peer, "set_begin_index"):
        peer.set_begin_index(first)
    return Fitted(peer, process, prediction, first, made.over_alpha, made.levels)


def _divides(peer: Any, process: Process) -> bool:
    """Whether it holds x/α: what it shows the network is less than its sample."""
    if process.kind != "vp" or not hasattr(peer, "scale_model_input"):
        return False
    return float(peer.scale_model_input(torch.ones(1), peer.timesteps[0])[0]) != 1.0


def _own_levels(peer: Any, process: Process) -> tuple[float, ...] | None:
    sigmas = getattr(peer, "sigmas", None)
    if sigmas is None or len(sigmas) != len(peer.timesteps) + 1:
        return None
    return tuple(float(sigma) for sigma in sigmas)


def _point(made: Fitted, entry: int, points: Sequence[Point]) -> Point:
    """The level of an entry: a boundary where it is one, else its own σ, or that of its timestep."""
    timestep, process = float(made.peer.timesteps[entry]), made.process
    by_time = _at_time(process, timestep)
    levels = [by_time] if by_time is not None else []
    if made.levels is not None:
        own = process.customary(made.levels[entry]) if made.levels[entry] > 0.0 else None
        # KDPM2 keeps both of a step's evaluations under one σ, and tells them apart by their timesteps
        if own is not None and (by_time is None or math.isclose(own.timestep, timestep, abs_tol=1.5)):
            levels.insert(0, own)
    return next((point for point in points if any(_near(process, point, level) for level in levels)), levels[0])


def _at_time(process: Process, timestep: float) -> Point | None:
    try:
        return process.at(timestep=timestep)
    except ValueError:
        return None


def _near(process: Process, one: Point, other: Point) -> bool:
    if process.kind == "flow":
        return abs(one.sigma - other.sigma) <= NEAR * max(one.sigma, other.sigma)
    if one.alpha == 0.0 or other.alpha == 0.0:
        return one.alpha == other.alpha
    return abs(one.s - other.s) <= NEAR * max(one.s, other.s)


def _covers(found: Sequence[Point], points: Sequence[Point]) -> bool:
    """Whether the entries visit each start of a step, in order, and all lie above the end."""
    starts = points[:-1]
    if any(point.lam >= points[-1].lam for point in found):
        return False
    places = [next((i for i, point in enumerate(found) if point == start), None) for start in starts]
    known = [place for place in places if place is not None]
    boundaries = len({point for point in found if point in starts})
    return len(known) == len(places) and known == sorted(known) and boundaries == len(starts)


def _ends(made: Fitted, end: Point) -> bool:
    if made.levels is None:
        return True
    last = made.levels[-1]
    return last == 0.0 if end.sigma == 0.0 else last > 0.0
