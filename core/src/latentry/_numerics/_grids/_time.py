"""Levels by the network's own time."""

from __future__ import annotations

from latentry._numerics._processes._point import Point
from latentry._numerics._processes._process import Process


def at_fraction(process: Process, u: float) -> Point:
    """The level at a part of the trained time: 0 is the cleanest, 1 the noisiest, whatever the network counts in.

    That is t on a rectified flow, the timestep on a variance-preserving process and c_noise = log(σ)/4 on EDM.
    """
    if u >= 1.0:
        return process.noisiest
    low, high = process.cleanest.timestep, process.noisiest.timestep
    return process.at(timestep=low + u * (high - low))
