"""Which scheduler is best for a model, a number of steps and a guidance scale, by what the records have measured."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from latentry._discovery import PluginHost
from latentry._files._finding._locate import Located
from latentry._files._finding._wanted import why_unusable
from latentry._resolve._scheduler import choose_scheduler
from latentry._specs import Evidence

BEST = "best"
"""In place of a scheduler's name: the one that this module chooses."""
FEW = 12
"""Up to so many steps a method of first order is told that another comes nearer."""
Condition = tuple[str, float]
"""A network and the guidance scale that it was measured at."""


@dataclass(frozen=True)
class Best:
    """A choice.

    Attributes:
        name: ``distribution:name``.
        why: one sentence.
    """

    name: str
    why: str

    @property
    def note(self) -> str:
        """What it is told by."""
        return f"The scheduler is {self.name.rpartition(':')[2]}. {self.why}"


def best_scheduler(host: PluginHost, located: Located, steps: int, guidance: float) -> Best:
    """The scheduler that came nearest to the exact result on networks of the model's kind.

    On each network on which several schedulers were measured, they are compared at the guidance scale and the number of
    steps that are nearest. Those that were measured on all of them take part, and the least product of errors wins.

    Args:
        host: what is installed.
        located: the model.
        steps: how many there are to be.
        guidance: the guidance scale.

    Raises:
        PluginError: nothing was measured for the model, and no scheduler that its variant prefers is installed.
    """
    usual = choose_scheduler(host, located, None, {}).name
    if located.variant.on_grid:
        return Best(usual, f"{located.variant.name} was distilled to the levels of a few steps, and to this scheduler.")
    family = host.families[located.family]
    evidence = {
        host.schedulers.qualified(name): [row for row in spec.evidence if row.process == family.process]
        for name in host.schedulers
        if not why_unusable(spec := host.schedulers[name], family)
    }
    conditions = _conditions(evidence.values(), guidance)
    measured = {name: _errors(rows, conditions, steps) for name, rows in evidence.items()}
    complete = {name: errors for name, errors in measured.items() if conditions and errors.keys() == conditions}
    if not complete:
        return Best(usual, f"The model prefers it; no schedulers were compared on {family.process} noise processes.")
    best = min(complete, key=lambda name: (math.fsum(map(math.log, complete[name].values())), name))
    return Best(best, _reason(complete, best, usual, steps))


def better_note(host: PluginHost, located: Located, used: str, steps: int, guidance: float) -> tuple[str, ...]:
    """What to say where few steps go to a scheduler of first order that nobody asked for.

    Args:
        host: what is installed.
        located: the model.
        used: ``distribution:name`` of the scheduler.
        steps: how many there are.
        guidance: the guidance scale.
    """
    if steps > FEW or host.schedulers[used].order > 1 or located.variant.on_grid:
        return ()
    best = best_scheduler(host, located, steps, guidance)
    if best.name == used:
        return ()
    name, better = used.rpartition(":")[2], best.name.rpartition(":")[2]
    return (f"In so few steps {better} comes nearer than {name}: {best.why} The scheduler '{BEST}' chooses this way.",)


def _conditions(evidence: Iterable[Sequence[Evidence]], guidance: float) -> set[Condition]:
    """For each network the guidance scale nearest to this one, of those at which several schedulers were measured."""
    counts = Counter((row.model, row.guidance) for rows in evidence for row in rows)
    nearest: dict[str, float] = {}
    for model, scale in sorted(condition for condition, count in counts.items() if count > 1):
        nearest[model] = min(nearest.get(model, scale), scale, key=lambda each: _apart(each, guidance))
    return set(nearest.items())


def _errors(rows: Sequence[Evidence], conditions: set[Condition], steps: int) -> dict[Condition, float]:
    """The error under each condition, in the number of steps that is nearest."""
    return {
        (row.model, row.guidance): min(row.errors, key=lambda each: _apart(each[0], steps))[1]
        for row in rows
        if (row.model, row.guidance) in conditions
    }


def _reason(errors: dict[str, dict[Condition, float]], best: str, usual: str, steps: int) -> str:
    found = errors[best]
    where = " and ".join(f"{model} at guidance {guidance:g}" for model, guidance in sorted(found))
    counted = "1 step" if steps == 1 else f"{steps} steps"
    said = f"Its results in about {counted} lay {_mean(found):.2g} from the exact ones on {where}"
    if usual in errors and usual != best:
        return f"{said}; those of {usual.rpartition(':')[2]} {_mean(errors[usual]):.2g}."
    return f"{said}, the nearest of {len(errors)} schedulers."


def _mean(errors: dict[Condition, float]) -> float:
    """Geometric mean."""
    return math.exp(math.fsum(map(math.log, errors.values())) / len(errors))


def _apart(one: float, other: float) -> float:
    return abs(math.log(max(one, 1e-6) / max(other, 1e-6)))
