"""Each setting as the engine decides it, before anything is drawn; an axis without effect is refused here."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations

from latentry import Engine, OptionError, Setup
from latentry.batches import Line, request_of
from latentry.tables import Table
from latentry_compare._axes import Axes, Fields, Setting


@dataclass(frozen=True)
class Settled:
    """A setting with every choice filled in.

    Attributes:
        setting: what was asked for.
        setup: of its first picture.
        elsewhere: why its result cannot be held against a reference; empty where it can.
    """

    setting: Setting
    setup: Setup
    elsewhere: str

    @property
    def guidance(self) -> float:
        """The scale, as it was decided."""
        scale = self.setup.request.guidance
        assert isinstance(scale, (int, float))  # a curve is not one value of an axis
        return scale

    @property
    def run(self) -> Hashable:
        """Equal for settings that draw the same pictures."""
        guided = self.setup.located.variant.guidance_kind != "none"
        return self.setup.plan.fingerprint, self.guidance if guided else None


def settle(engine: Engine, axes: Axes, common: Fields) -> tuple[Settled, ...]:
    """All settings of the axes.

    Args:
        engine: that will draw.
        axes: what is compared.
        common: fields of all requests.

    Raises:
        OptionError: two values of an axis draw the same pictures whatever the others are.
        LatentryError: a setting cannot be drawn; see ``Engine.prepare``.
    """
    found = tuple(_settled(engine, setting, axes, common) for setting in axes.settings)
    _refuse_idle(found, axes)
    return found


def prepared(engine: Engine, fields: Fields) -> Setup:
    """The setup of a request's fields."""
    return engine.prepare(request_of(Line(1, fields)))


def elsewhere(engine: Engine, setup: Setup) -> str:
    """Why a run does not tend to the solution of the probability flow's equation; empty where it does."""
    assert setup.request.scheduler is not None
    spec, table = engine.host.schedulers[setup.request.scheduler], setup.plan.table()
    if table.stochastic if isinstance(table, Table) else spec.stochastic:
        return "draws noise of its own"
    return f"solves another equation, with {', '.join(sorted(spec.needs))}" if spec.needs else ""


def _settled(engine: Engine, setting: Setting, axes: Axes, common: Fields) -> Settled:
    seed = axes.seeds[0]
    setups = [prepared(engine, {**common, **prompt, **setting.fields, "seed": seed}) for prompt in axes.prompts]
    return Settled(setting, setups[0], elsewhere(engine, setups[0]))


def _refuse_idle(settled: Sequence[Settled], axes: Axes) -> None:
    for axis, values in axes.values.items():
        for one, other in combinations(values, 2):
            runs = [[each.run for each in settled if getattr(each.setting, axis) == value] for value in (one, other)]
            if runs[0] == runs[1]:
                raise OptionError(
                    f"{axis}: {one} and {other} draw the same pictures here.",
                    why="Whichever of them is used, each run is the same, whatever the other axes say.",
                    remedy="Leave one of them out.",
                )
