"""The grid that the replaced scheduler itself lays out, so that results agree with it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import diffusers
import numpy as np

from latentry import Final, IncompatibleError, Process

if TYPE_CHECKING:
    from latentry_bridge_diffusers._request import Request


class StockLevels(NamedTuple):
    """A grid that a diffusers scheduler laid out.

    Attributes:
        levels: at which steps start: σ/α on VP and EDM, σ on flow.
        timesteps: what it tells the network there; some classes round them, so they need not be those of the levels.
        final: where the steps end.
    """

    levels: list[float]
    timesteps: list[float]
    final: Final


def stock_levels(stock: Mapping[str, Any], process: Process, request: Request) -> StockLevels:
    """The grid of the scheduler that was replaced.

    Args:
        stock: ``class_name`` and ``config`` of a diffusers scheduler.
        process: the checkpoint's noise process.
        request: what the pipeline asks for, passed on to that scheduler.

    Raises:
        IncompatibleError: the class is not in the installed diffusers.
    """
    cls = getattr(diffusers, str(stock.get("class_name")), None)
    if cls is None:
        raise IncompatibleError(
            f"The grid of {stock.get('class_name')!r} is not known.",
            why=f"diffusers {diffusers.__version__} has no such scheduler.",
            remedy="Name a sigma schedule with sigmas=.",
        )
    scheduler = cls.from_config(dict(stock["config"]))
    accepted = inspect.signature(scheduler.set_timesteps).parameters
    given = {"sigmas": request.sigmas, "mu": request.mu}
    given = {name: value for name, value in given.items() if value is not None and name in accepted}
    if "sigmas" not in given:
        given["num_inference_steps"] = request.count
    scheduler.set_timesteps(**given)
    return _levels(scheduler, process)


def _levels(scheduler: Any, process: Process) -> StockLevels:
    sigmas, timesteps = getattr(scheduler, "sigmas", None), [float(t) for t in scheduler.timesteps]
    if sigmas is None or len(sigmas) != len(timesteps) + 1:  # DDIM and schedulers like it only know timesteps
        points = [process.at(timestep=t) for t in timesteps]
        levels = [point.sigma if process.kind == "flow" else point.s for point in points]
        zero = getattr(scheduler.config, "set_alpha_to_one", True)
        return StockLevels(levels, timesteps, "zero" if zero else "table")
    values = np.asarray(sigmas, dtype=np.float64)
    return StockLevels(values[:-1].tolist(), timesteps, "zero" if values[-1] == 0.0 else "table")
