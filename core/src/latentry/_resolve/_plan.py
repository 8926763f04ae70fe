"""The plan of a request: its scheduler on its sigmas, of which a picture to begin from may take a part."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from latentry._contract._noise_settings import NoiseSettings
from latentry._errors import IncompatibleError, OptionError
from latentry._files._finding._locate import Located
from latentry._numerics._plan import Plan
from latentry._request._values._strength import StepCounts, StrengthMode, count_steps
from latentry._resolve._scheduler import ChosenScheduler
from latentry._resolve._sigmas import ChosenSigmas
from latentry._resolve._useless._idle_options import Idle
from latentry._specs import VariantSpec

Sigmas = str | tuple[float, ...] | None


@dataclass(frozen=True)
class LaidOut:
    """The plan of a request, and what it comes from.

    Attributes:
        plan: of the steps that are taken.
        steps: how many were asked for.
        scheduler: the scheduler; None for a plan file.
        sigmas: its sigmas; None for a plan file.
        idle: options of both that change nothing.
        file: the plan file.
        digest: sha256 of the plan file's numbers.
        notes: what to tell the user.
    """

    plan: Plan
    steps: int
    scheduler: ChosenScheduler | None = None
    sigmas: ChosenSigmas | None = None
    idle: Idle = field(default_factory=Idle)
    file: str | None = None
    digest: str = ""
    notes: tuple[str, ...] = ()

    @property
    def decided(self) -> dict[str, Any]:
        """The fields of a request for this plan."""
        found: dict[str, Any] = {"steps": self.steps, "plan": self.file}
        for part in (self.scheduler, self.sigmas):
            found |= {} if part is None else part.decided
        return found


def choose_steps(steps: int | None, sigmas: Sigmas, variant: VariantSpec, *, adaptive: bool, part: bool) -> int:
    """The requested number of steps, else one for each given level, else the variant's.

    Args:
        steps: the request's.
        sigmas: likewise.
        variant: of the model.
        adaptive: the scheduler divides each step as it sees fit: one is enough.
        part: only a share of the steps is taken.
    """
    if steps is not None:
        return steps
    if isinstance(sigmas, tuple):
        return len(sigmas)
    return 1 if adaptive and not part else variant.steps


def choose_part(steps: int, sigmas: Sigmas, strength: float | None, mode: StrengthMode) -> StepCounts:
    """How many steps are laid out, and how many of them are left out for a picture to begin from.

    Raises:
        OptionError: no step would be left, or given levels would have to be extended.
    """
    if strength is None:
        return StepCounts(steps, 0)
    if isinstance(sigmas, tuple) and mode == "full" and strength < 1.0:
        raise OptionError(
            "The strength mode 'full' cannot be used with a list of levels.",
            why="It lays out more steps, and only a sigma schedule says where.",
            remedy="Use the strength mode 'cut', or name a sigma schedule.",
            field="strength_mode",
        )
    return count_steps(steps, strength, mode)


def lay_out(
    chosen: ChosenScheduler, sigmas: ChosenSigmas, noise: NoiseSettings, counts: StepCounts, located: Located
) -> Plan:
    """The plan of the steps that are taken.

    Raises:
        IncompatibleError: the model knows its own levels alone, and the scheduler evaluates it between them.
    """
    plan = chosen.scheduler.plan(
        counts.laid_out, process=noise.process, prediction=noise.prediction, sigmas=sigmas.schedule, final=sigmas.final
    )
    check_on_grid(plan, located, f"The scheduler {chosen.name!r} cannot be used with {located.name} as it is set.")
    return plan[counts.left_out :]


def check_on_grid(plan: Plan, located: Located, what: str) -> None:
    """Refuses a plan that evaluates a network between its steps which knows its own levels alone.

    Raises:
        IncompatibleError: begins with ``what``.
    """
    if located.variant.on_grid and (plan.scheduler.adaptive or plan.off_grid is not None):
        raise IncompatibleError(
            what,
            why=f"It evaluates the network between its steps; {located.variant.name} was distilled to the levels of a "
            "few steps.",
            remedy=f"Use {located.variant.schedulers[0].split(':')[1]}, or options that keep to the steps.",
            field="scheduler",
        )
