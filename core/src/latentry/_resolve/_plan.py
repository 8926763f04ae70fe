"""The way of a request from noise to picture: its scheduler on its levels, and the steps that are taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from latentry._contract._model import Checkpoint
from latentry._discovery import PluginHost
from latentry._errors import IncompatibleError, OptionError
from latentry._files._locate import Located
from latentry._numerics._plan import Plan
from latentry._request._generation_request import GenerationRequest
from latentry._request._strength import stretch
from latentry._resolve._scheduler import ChosenScheduler, ChosenSigmas, choose_scheduler, choose_sigmas, lay_out


@dataclass(frozen=True)
class Way:
    """See the module.

    Attributes:
        scheduler: that was chosen.
        sigmas: the schedule that was chosen.
        steps: how many were asked for.
        plan: of the steps that are taken: with a picture to begin from they may be fewer, or the last of more.
    """

    scheduler: ChosenScheduler
    sigmas: ChosenSigmas
    steps: int
    plan: Plan

    def decided(self, request: GenerationRequest) -> dict[str, Any]:
        """What a request that asks for the same would say."""
        named = self.sigmas.name is not None
        return {
            "scheduler": self.scheduler.name,
            "scheduler_options": self.scheduler.scheduler.model_dump(),
            "sigmas": self.sigmas.name if named else request.sigmas,
            "sigma_options": self.sigmas.schedule.model_dump() if named else {},
            "final": self.sigmas.final,
            "steps": self.steps,
        }


def choose_way(
    host: PluginHost,
    request: GenerationRequest,
    located: Located,
    checkpoint: Checkpoint,
    size: tuple[int, int],
    strength: float | None,
) -> Way:
    """See the module.

    Args:
        host: what is installed.
        request: what is wanted.
        located: the checkpoint's family and variant.
        checkpoint: its noise process and time shift.
        size: width and height in pixels.
        strength: of a picture to begin from; None for noise alone.

    Raises:
        LatentryError: see ``choose_scheduler``, ``choose_sigmas`` and ``stretch``.
    """
    scheduler = choose_scheduler(host, request, located)
    steps, mode, share = _steps(request, located), request.strength_mode, 1.0 if strength is None else strength
    if isinstance(request.sigmas, tuple) and mode == "full" and share < 1.0:
        raise OptionError(
            "Noise levels that are given one by one can only be cut.",
            why="The strength mode 'full' would have to know what lies between them.",
            remedy="Use --strength-mode cut, or name a sigma schedule.",
        )
    taken = stretch(steps, share, mode)
    sigmas = choose_sigmas(host, request, checkpoint.noise, scheduler, taken.laid_out, checkpoint.shift(*size))
    plan = lay_out(scheduler, sigmas, checkpoint.noise, taken.laid_out)
    if located.variant.on_grid:
        _check_on_grid(plan, scheduler.name, located)
    return Way(scheduler, sigmas, steps, plan[taken.left_out :])


def _check_on_grid(plan: Plan, scheduler: str, located: Located) -> None:
    if plan.scheduler.adaptive or plan.off_grid is not None:
        raise IncompatibleError(
            f"The scheduler {scheduler!r} cannot be used with {located.name} as it is set.",
            why=f"It asks the network at levels between its steps, and {located.variant.name} was distilled to the "
            "levels of few steps alone.",
            remedy=f"Use {located.variant.schedulers[0].split(':')[1]}, or options that keep to the steps.",
        )


def _steps(request: GenerationRequest, located: Located) -> int:
    if isinstance(request.sigmas, tuple):
        return len(request.sigmas) if request.steps is None else request.steps
    return located.variant.steps if request.steps is None else request.steps
