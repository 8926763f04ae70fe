"""Latentry's sigma schedules on the levels of a model of another program."""

from __future__ import annotations

import torch
from torch import Tensor

from latentry import EDM, Flow, PluginHost, Process, VariancePreserving


def levels(
    schedule: str,
    process: Process,
    steps: int,
    *,
    table: Tensor | None = None,
    strength: float = 1.0,
    host: PluginHost | None = None,
    **options: object,
) -> Tensor:
    """The levels of a run, as k-diffusion's samplers take them: float32 on the CPU, falling to 0.

    Args:
        schedule: a sigma schedule by name.
        process: as ``process_of`` gives it.
        steps: how many.
        table: of a rectified flow's levels, from which its time shift is read unless the options have one.
        strength: which part of the schedule's steps is kept, from its end.
        host: what is installed.
        options: of the schedule.

    Raises:
        UnknownName, OptionError, IncompatibleError: the schedule cannot be laid out like that.
    """
    schedules = (host or PluginHost()).sigma_schedules
    if table is not None and not schedules.load(schedule).absolute:
        options = {"shift": _shift(table)} | options
    points = schedules.create(schedule, **options).points(max(steps, round(steps / strength)), process)[-steps:]
    found = [point.sigma if process.kind == "flow" else point.s for point in points]
    return torch.tensor([*found, 0.0], dtype=torch.float32)


def process_of(table: Tensor, *, flow: bool = False, continuous: bool = False) -> Process:
    """The noise process of a model from its levels, which rise.

    Args:
        table: a level for each of its timesteps: σ/α, or t of a flow.
        flow: it is a rectified flow.
        continuous: it is known between the first and the last level, as EDM's are.
    """
    if flow:
        return Flow()
    if continuous:
        return EDM(float(table[0]), float(table[-1]))
    return VariancePreserving(tuple((1.0 / (1.0 + table.double() ** 2)).tolist()))


def _shift(table: Tensor) -> float:
    """What σ/α is multiplied by, from the middle of the table: entry k of n has t = (k + 1)/n before the shift."""
    place = len(table) // 2 - 1
    middle, even = float(table[place]), (place + 1) / len(table)
    return (middle / (1.0 - middle)) / (even / (1.0 - even))
