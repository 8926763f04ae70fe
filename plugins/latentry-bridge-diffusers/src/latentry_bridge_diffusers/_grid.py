"""Turns what a pipeline passes to ``set_timesteps`` into the boundaries of the steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from latentry import Final, OptionError, Plan, PluginHost, Scheduler
from latentry.sigmas import ExactSigmas, SigmaSchedule
from latentry_bridge_diffusers._request import Request
from latentry_bridge_diffusers._training import Training, dynamic_shift

STOCK = "stock"
"""The name of the grid that the replaced scheduler itself would lay out."""


@dataclass(frozen=True)
class Grid:
    """How steps are laid out unless a pipeline's user gives the levels.

    Attributes:
        name: a sigma schedule, ``stock``, or None for the scheduler's own preference.
        options: the schedule's options.
        final: where a run ends.
        stock: the replaced scheduler's class name and configuration.
    """

    name: str | None
    options: Mapping[str, Any]
    final: Final | None
    stock: Mapping[str, Any]

    def plan(
        self,
        scheduler: Scheduler,
        scheduler_name: str,
        training: Training,
        request: Request,
        config: Mapping[str, Any],
        host: PluginHost,
    ) -> Plan:
        """The plan of one call of ``set_timesteps``.

        Raises:
            OptionError, IncompatibleError: the steps cannot be laid out like that.
        """
        process, prediction = training.process, training.prediction
        if request.own_levels:
            if self.name not in (None, STOCK):
                raise OptionError(
                    f"The scheduler was made with sigmas={self.name!r}, and the pipeline was given levels of its own.",
                    remedy="Make the scheduler without sigmas=, or leave timesteps= and sigmas= out.",
                )
            sigmas = _given(request, training, config)
            steps, final = request.count, self.final or "zero"
            return scheduler.plan(steps, process=process, prediction=prediction, sigmas=sigmas, final=final)
        if self.name == STOCK:
            from latentry_bridge_diffusers._stock import stock_levels

            levels, timesteps, final = stock_levels(self.stock, training.process, request)
            plan = scheduler.plan(process=process, prediction=prediction, sigmas=levels, final=self.final or final)
            shown = (point._replace(timestep=t) for point, t in zip(plan.points, timesteps, strict=False))
            return replace(plan, points=(*shown, plan.points[-1]))
        schedule, final = self._schedule(scheduler_name, training, request, config, host)
        return scheduler.plan(request.count, process=process, prediction=prediction, sigmas=schedule, final=final)

    def _schedule(
        self, scheduler_name: str, training: Training, request: Request, config: Mapping[str, Any], host: PluginHost
    ) -> tuple[SigmaSchedule, Final]:
        kind, final = training.process.kind, self.final or "zero"
        options = dict(self.options)
        name = self.name or training.demand
        if name is None:
            spec = host.schedulers[scheduler_name]
            known, preferred = host.sigma_schedules, spec.sigmas_for(request.count, kind)
            preference = next(p for p in preferred if p.name in known and kind in known[p.name].processes)
            name, final = preference.name, self.final or preference.final
            options = dict(preference.options) | options
        if kind == "flow" and not host.sigma_schedules.load(name).absolute:
            options = {"shift": dynamic_shift(request.mu, config)} | options
        return host.sigma_schedules.create(name, **options), final


def _given(request: Request, training: Training, config: Mapping[str, Any]) -> ExactSigmas:
    """Levels that the user gave; on a flow they are shifted as diffusers' own scheduler shifts them."""
    process = training.process
    if request.timesteps is not None:
        points = [process.at(timestep=float(t)) for t in request.timesteps]
        return ExactSigmas(values=tuple(p.sigma if process.kind == "flow" else p.s for p in points))
    assert request.sigmas is not None
    levels = [float(sigma) for sigma in request.sigmas]
    if process.kind == "flow":
        shift = dynamic_shift(request.mu, config)
        levels = [shift * level / (1.0 + (shift - 1.0) * level) for level in levels]
    return ExactSigmas(values=tuple(levels))
