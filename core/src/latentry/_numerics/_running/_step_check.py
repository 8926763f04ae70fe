"""Checks what a scheduler's step yields and returns, so that a mistake in a plugin is an error and not a picture."""

from __future__ import annotations

from collections.abc import Generator
from types import GeneratorType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from latentry._discovery._owner import owner_of
from latentry._errors import PluginError
from latentry._numerics._interval import Interval
from latentry._numerics._processes._point import Point, Query
from latentry._numerics._step import StepMethod


class Like(NamedTuple):
    """What every sample of a run has in common."""

    shape: torch.Size
    dtype: torch.dtype
    device: torch.device

    @classmethod
    def of(cls, sample: Tensor) -> Like:
        """The kind of tensor that a sample is."""
        return cls(sample.shape, sample.dtype, sample.device)

    def __str__(self) -> str:
        return f"{str(self.dtype).removeprefix('torch.')} of shape {tuple(self.shape)} on {self.device}"


def check_step(scheduler: StepMethod, step: object) -> None:
    """A step is a generator."""
    if type(step) is not GeneratorType and not isinstance(step, Generator):
        raise _fault(
            scheduler,
            f"step() returned {_kind(step)}, and a step must be a generator.",
            "Ask for at least one evaluation: denoised = yield interval.start.query(x).",
        )


def check_query(scheduler: StepMethod, query: object, sample: Tensor, like: Like) -> None:
    """A step yields queries, each with a sample like the run's; most often it is that sample itself."""
    if type(query) is not Query:
        raise _fault(
            scheduler, f"step() yielded {_kind(query)}, not a query.", "Yield point.query(x), where x has that level."
        )
    x = query.x
    if x is sample:
        return
    if type(x) is not Tensor or x.shape != like.shape or x.dtype is not like.dtype or x.device != like.device:
        _check_tensor(scheduler, "step() yielded a query with", x, like)


def check_result(scheduler: StepMethod, result: Any, like: Like, interval: Interval) -> Point:
    """A step returns a sample like the run's, its memory, and possibly a level within the interval.

    Returns:
        the level that the step has reached.
    """
    if type(result) is not tuple or not 2 <= len(result) <= 3 or not isinstance(result[1], scheduler.Memory):
        _check_form(scheduler, result)
    check_sample(scheduler, result[0], like)
    if len(result) == 2:
        return interval.end
    reached = result[2]
    # an interval goes down in noise, or up on a reversed plan
    low, high = sorted((interval.start.lam, interval.end.lam))
    if type(reached) is not Point or not low <= reached.lam <= high or reached.lam == interval.start.lam:
        raise _fault(
            scheduler,
            f"step() returned {_level(reached)} as the level it reached.",
            "Return a level after interval.start and no further than interval.end, made by interval.at(...).",
            f"The step goes from λ = {interval.start.lam:.4g} to λ = {interval.end.lam:.4g}.",
        )
    return reached


def check_sample(scheduler: StepMethod, x: object, like: Like) -> None:
    """A step's next sample is like the run's."""
    if type(x) is not Tensor or x.shape != like.shape or x.dtype is not like.dtype or x.device != like.device:
        _check_tensor(scheduler, "step() returned", x, like)


def _check_form(scheduler: StepMethod, result: Any) -> None:
    """The error for a result that is not (x, memory) or (x, memory, reached)."""
    memory = scheduler.Memory.__name__
    if isinstance(result, tuple) and 2 <= len(result) <= 3:
        if isinstance(result[1], scheduler.Memory):
            return
        found = f"{_kind(result[1])} as its memory, not {memory}"
    else:
        found = f"{_kind(result)}, not a tuple of the sample and the memory"
    raise _fault(scheduler, f"step() returned {found}.", f"Return (x, {memory}(...)), or (x, memory, reached).")


def _check_tensor(scheduler: StepMethod, verb: str, x: object, like: Like) -> None:
    """The error for a tensor that is not like the run's samples; subclasses of ``Tensor`` pass."""
    if isinstance(x, Tensor) and Like.of(x) == like:
        return
    found = str(Like.of(x)) if isinstance(x, Tensor) else _kind(x)
    raise _fault(scheduler, f"{verb} {found}, where the sample is {like}.", "Keep shape, dtype and device of x.")


def _fault(scheduler: StepMethod, why: str, remedy: str, more: str = "") -> PluginError:
    owner = owner_of(scheduler)
    what = f"The {owner.record} of {owner.provenance.label} does not do what a scheduler must."
    return PluginError(what, why=" ".join(part for part in (why, more) if part), remedy=remedy)


def _kind(value: object) -> str:
    return "nothing" if value is None else f"an object of type {type(value).__name__}"


def _level(reached: object) -> str:
    return f"λ = {reached.lam:.4g}" if isinstance(reached, Point) else _kind(reached)
