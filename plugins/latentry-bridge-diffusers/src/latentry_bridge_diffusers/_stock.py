"""The grid that the replaced scheduler itself lays out, so that results agree with it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import diffusers
import numpy as np

from latentry import Final, IncompatibleError, Process

if TYPE_CHECKING:
    from latentry_bridge_diffusers._request import Request


def stock_levels(stock: Mapping[str, Any], process: Process, request: Request) -> tuple[list[float], Final]:
    """The levels at which steps start (σ/α on VP and EDM, σ on flow), and where they end.

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


def _levels(scheduler: Any, process: Process) -> tuple[list[float], Final]:
    sigmas = getattr(scheduler, "sigmas", None)
    if sigmas is None or len(sigmas) != len(scheduler.timesteps) + 1:  # DDIM and schedulers like it only know timesteps
        points = [process.at(timestep=float(t)) for t in scheduler.timesteps]
        levels = [point.sigma if process.kind == "flow" else point.s for point in points]
        return levels, "zero" if getattr(scheduler.config, "set_alpha_to_one", True) else "table"
    values = np.asarray(sigmas, dtype=np.float64)
    return values[:-1].tolist(), "zero" if values[-1] == 0.0 else "table"
