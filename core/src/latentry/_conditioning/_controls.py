"""What the conditioners of a request inject at each evaluation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from latentry._conditioning._mask import ControlMask
from latentry._contract._conditioner import Conditioner, ControlQuery, Inject
from latentry._contract._conditioning import Conditioning
from latentry._contract._curve import value_at
from latentry._discovery import plugin_call
from latentry._errors import PluginError
from latentry._numerics._processes._point import Query
from latentry._request._values._control import ControlRequest


@dataclass(frozen=True)
class Control:
    """One conditioner, prepared for a request.

    Attributes:
        conditioner: it.
        inject: what it prepared.
        request: weight, interval and branches.
        points: the injection points of the model's family, as patterns.
        mask: confines it to a part of the picture; None: all of it.
    """

    conditioner: Conditioner
    inject: Inject
    request: ControlRequest
    points: tuple[str, ...]
    mask: ControlMask | None = None

    def weight(self, query: Query, steps: int, *, flow: bool) -> float:
        """How strongly it steers at a query; 0 outside its interval.

        A step i of N is inside where start ≤ i/N and (i + 1)/N ≤ stop, as in diffusers' pipelines.
        """
        start, stop = self.request.interval
        share, after = query.index / steps, (query.index + 1) / steps
        if share < start or after > stop:
            return 0.0
        return value_at(self.request.weight, query, steps, flow=flow)

    def __call__(self, asked: ControlQuery) -> Mapping[str, Tensor]:
        """The tensors for all rows; those of rows that it does not steer are zero."""
        rows = self._steered(asked)
        if not rows:
            return {}
        with plugin_call(self.conditioner):
            given = self.inject(asked if len(rows) == len(asked.negative) else _rows(asked, rows))
        for name in given:
            if self._known.fullmatch(name) is None:
                raise PluginError(
                    f"{type(self.conditioner).__name__} injects {name!r}, which the model does not have.",
                    why=f"Its family declares {', '.join(self.points) or 'no injection points'}.",
                    remedy="Report it to the plugin's author.",
                )
        if (mask := self.mask) is not None:
            given = {name: mask.confine(name, tensor, asked.x) for name, tensor in given.items()}
        return {name: _spread(tensor, rows, len(asked.negative)) for name, tensor in given.items()}

    def _steered(self, asked: ControlQuery) -> Sequence[int]:
        every = self.request.branches == "both"
        return [row for row, negative in enumerate(asked.negative) if every or not negative]

    @cached_property
    def _known(self) -> re.Pattern[str]:
        return re.compile("|".join(re.escape(point).replace(r"\*", r"\d+") for point in self.points) or "(?!)")


@dataclass(frozen=True)
class Controls:
    """All conditioners of a request.

    Attributes:
        controls: in the order of the request.
        steps: of the plan.
        flow: whether noise levels are σ, and not σ/α.
    """

    controls: tuple[Control, ...] = ()
    steps: int = 1
    flow: bool = False

    def at(self, query: Query, negative: Sequence[bool]) -> Steer | None:
        """What steers rows at a query; None where no conditioner is active.

        Args:
            query: of the run.
            negative: for each row, whether it is that of the negative prompt.
        """
        weights = [(control, control.weight(query, self.steps, flow=self.flow)) for control in self.controls]
        active = tuple((control, weight) for control, weight in weights if weight != 0.0)
        return Steer(active, tuple(negative)) if active else None


@dataclass(frozen=True, eq=False)
class Steer:
    """The conditioners that are active at one query; equal to itself alone.

    Attributes:
        active: each with its weight.
        negative: for each row, whether it is that of the negative prompt.
    """

    active: tuple[tuple[Control, float], ...]
    negative: tuple[bool, ...]

    def __call__(self, x: Tensor, timestep: float | Tensor, conditioning: Conditioning) -> dict[str, Tensor]:
        """The tensors to inject, by injection point, for what the denoiser is given."""
        injected: dict[str, Tensor] = {}
        for control, weight in self.active:
            mask = None if control.mask is None else control.mask.levels
            asked = ControlQuery(x, timestep, conditioning, weight, self.negative, mask)
            for name, tensor in control(asked).items():
                injected[name] = injected[name] + tensor if name in injected else tensor
        return injected


NO_CONTROLS = Controls()


def _rows(asked: ControlQuery, rows: Sequence[int]) -> ControlQuery:
    """The query for some of its rows."""
    tensors = {name: tensor[rows] for name, tensor in asked.conditioning.tensors.items()}
    timestep = asked.timestep[rows] if isinstance(asked.timestep, Tensor) else asked.timestep
    negative = [asked.negative[row] for row in rows]
    return replace(asked, x=asked.x[rows], timestep=timestep, conditioning=Conditioning(tensors), negative=negative)


def _spread(tensor: Tensor, rows: Sequence[int], count: int) -> Tensor:
    """A tensor of some rows as one of all, zero elsewhere."""
    if len(rows) == count:
        return tensor
    whole = torch.zeros((count, *tensor.shape[1:]), dtype=tensor.dtype, device=tensor.device)
    whole[rows] = tensor
    return whole
