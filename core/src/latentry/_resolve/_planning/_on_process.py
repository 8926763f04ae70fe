"""A scheduler by name, laid out on a noise process alone: without a model, a family or a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latentry._contract._noise_settings import NoiseSettings
from latentry._discovery import PluginHost
from latentry._errors import IncompatibleError
from latentry._numerics._plan import Plan
from latentry._peers._names import understand
from latentry._resolve._scheduler import ChosenScheduler
from latentry._resolve._sigmas import ChosenSigmas, choose_sigmas
from latentry._specs import Final


@dataclass(frozen=True)
class OnProcess:
    """A scheduler on its sigmas.

    Attributes:
        scheduler: the scheduler.
        sigmas: its sigmas.
        plan: both laid out.
    """

    scheduler: ChosenScheduler
    sigmas: ChosenSigmas
    plan: Plan


def plan_on_process(
    host: PluginHost,
    name: str,
    noise: NoiseSettings,
    steps: int,
    *,
    options: Mapping[str, Any],
    sigmas: str | tuple[float, ...] | None = None,
    sigma_options: Mapping[str, Any],
    final: Final | None = None,
    shift: float | None = None,
) -> OnProcess:
    """Chooses and lays out, as for a request to a model with this noise process.

    Args:
        host: what is installed.
        name: of the scheduler, other programs' names included.
        noise: process and prediction type.
        steps: how many.
        options: of the scheduler.
        sigmas: see ``choose_sigmas``.
        sigma_options: likewise.
        final: likewise.
        shift: likewise.

    Raises:
        UnknownName, OptionError: see ``choose_sigmas``.
        IncompatibleError: the scheduler is not made for the process.
    """
    meaning, kind = understand(host, name), noise.process.kind
    spec = host.schedulers[meaning.scheduler]
    if kind not in spec.processes:
        raise IncompatibleError(
            f"The scheduler {spec.name!r} does not support {kind} noise processes.",
            why=f"It is for {', '.join(sorted(spec.processes))}.",
            remedy="Use another scheduler.",
            field="scheduler",
        )
    scheduler = host.schedulers.create(meaning.scheduler, **{**meaning.options, **options})
    chosen = ChosenScheduler(meaning.scheduler, scheduler, meaning.sigmas, meaning.preference, meaning.notes)
    grid = choose_sigmas(host, chosen, noise, steps, sigmas=sigmas, options=sigma_options, final=final, shift=shift)
    plan = scheduler.plan(
        steps, process=noise.process, prediction=noise.prediction, sigmas=grid.schedule, final=grid.final
    )
    return OnProcess(chosen, grid, plan)
