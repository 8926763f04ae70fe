"""Schedulers' defaults on targets drawn by a seed, beside the grid that a checkpoint comes with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from latentry._discovery import PluginHost
from latentry._numerics._plan import Plan
from latentry._numerics._solvers._guard import Guarded, limit_for
from latentry._specs import ProcessKind, SigmaPreference
from latentry.testing._default_plans import default_plan, preferred
from latentry.testing._networks._drawn import DrawnTargets
from latentry.testing._networks._processes import process
from latentry.testing._subject import Subject

GUIDANCE = (1.0, 2.0, 3.0, 5.0, 7.5, 9.0, 15.0)
"""Scales that the targets have in turn."""
BOUNDED = 9.0
"""Up to this scale ``Cells.worst`` looks."""
CHECKPOINT_GRIDS: dict[ProcessKind, SigmaPreference] = {
    "vp": SigmaPreference("latentry:linspace", options=(("multistep", True),)),
    "flow": SigmaPreference("latentry:trailing"),
    "edm": SigmaPreference("latentry:karras"),
}
"""What checkpoints of each process are laid out on elsewhere where nothing else is said: diffusers on Stable Diffusion,
SD3 and FLUX, and EDM's own.
"""
WILD, SIGNAL = 2.0, 0.5
"""A result has blown up if it is more than twice as far off as first order's and by over half of the signal."""


class Setting(NamedTuple):
    """Where a scheduler is measured.

    Attributes:
        kind: the noise process.
        evaluations: how many it may spend.
        shift: time shift of the checkpoint, on a flow.
    """

    kind: ProcessKind
    evaluations: int
    shift: float = 1.0


@dataclass(frozen=True)
class Cells:
    """The errors of a scheduler in a setting, (targets,) each: parts of the signal's size.

    Attributes:
        error: under its defaults.
        stock: on the checkpoint's grid, without guard.
        better: the lower of UniPC's and DDIM's there.
        first: first order's there, in as many evaluations as the defaults take: a step of two may leave one unspent.
        guidance: of the targets.
    """

    error: Tensor
    stock: Tensor
    better: Tensor
    first: Tensor
    guidance: Tensor

    @property
    def ratio(self) -> float:
        """Geometric mean of error ÷ stock."""
        return geometric(self.error / self.stock)

    @property
    def worst(self) -> float:
        """The largest error ÷ better, up to guidance ``BOUNDED``."""
        return float((self.error / self.better)[self.guidance <= BOUNDED].max())

    @property
    def blown_up(self) -> Tensor:
        """(targets,) of bool."""
        return (self.error > WILD * self.first) & (self.error > SIGNAL)


def geometric(errors: Tensor) -> float:
    """Their geometric mean."""
    return float(errors.log().mean().exp())


class Drawn:
    """Schedulers on targets drawn by a seed; one serves any number of schedulers.

    Args:
        host: finds schedulers and sigma schedules.
        seed: of the targets.
        count: how many.
        guidance: scales that they have in turn.
    """

    def __init__(
        self, host: PluginHost, seed: int, count: int = 12, *, guidance: Sequence[float] = GUIDANCE, starts: int = 6
    ) -> None:
        self._host = host
        # a guard's limit is that of the guidance, which is one for each run
        weak = [scale for scale in guidance if limit_for(scale) == limit_for(1.0)]
        strong = [scale for scale in guidance if scale not in weak]
        self.groups = [
            DrawnTargets.draw(seed + i, count * len(scales) // len(guidance), guidance=scales, starts=starts)
            for i, scales in enumerate((weak, strong))
            if scales
        ]
        self._stock: dict[tuple[str, Setting], Tensor] = {}

    @cached_property
    def guidance(self) -> Tensor:
        """(targets,)."""
        return torch.cat([group.guidance for group in self.groups])

    def cells(self, name: str, setting: Setting) -> Cells:
        """The scheduler of that name in a setting."""
        return Cells(
            self.errors(name, setting),
            self.stock(name, setting),
            torch.minimum(self.stock("unipc", setting), self.stock("ddim", setting)),
            self.stock("ddim", setting._replace(evaluations=self._spent(name, setting))),
            self.guidance,
        )

    def errors(self, name: str, setting: Setting) -> Tensor:
        """(targets,): under its defaults."""
        return torch.cat([group.errors(self._default(name, setting, group)) for group in self.groups])

    def stock(self, name: str, setting: Setting) -> Tensor:
        """(targets,): on the checkpoint's grid, without guard."""
        key = (name, setting)
        if key not in self._stock:
            plan = self._on_checkpoint_grid(name, setting)
            self._stock[key] = torch.cat([group.errors(plan) for group in self.groups])
        return self._stock[key]

    def _spent(self, name: str, setting: Setting) -> int:
        """Evaluations of the plan under defaults."""
        spent = self._default(name, setting, self.groups[0]).evaluations
        assert spent is not None  # most_steps
        return spent

    def _default(self, name: str, setting: Setting, group: DrawnTargets) -> Plan:
        subject, on = Subject.of(name, host=self._host), process(setting.kind)
        scale = float(group.guidance.max())

        def laid_out(steps: int) -> Plan | None:
            preference = preferred(subject, steps, on)
            if preference is None:
                return None
            return default_plan(subject, preference, steps, on, shift=setting.shift, guidance=scale)

        return most_steps(laid_out, setting.evaluations)

    def _on_checkpoint_grid(self, name: str, setting: Setting) -> Plan:
        target = self._host.schedulers.load(name)
        subject = Subject.of(name, host=self._host, options={"guard": False} if issubclass(target, Guarded) else {})
        grid, on = CHECKPOINT_GRIDS[setting.kind], process(setting.kind)
        return most_steps(lambda n: default_plan(subject, grid, n, on, shift=setting.shift), setting.evaluations)


def most_steps(laid_out: Callable[[int], Plan | None], evaluations: int) -> Plan:
    """The plan with the most steps that takes no more than so many evaluations."""
    for steps in range(evaluations, 0, -1):
        plan = laid_out(steps)
        if plan is not None and plan.evaluations is not None and plan.evaluations <= evaluations:
            return plan
    raise ValueError(f"no plan takes {evaluations} evaluations")
