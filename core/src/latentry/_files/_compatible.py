"""Which schedulers fit a model, for each task, with the reason where one does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from latentry._discovery import PluginHost
from latentry._files._finding._wanted import wanted_by, why_unfit
from latentry._policy import ANYTHING, Policy
from latentry._specs import Task, VariantSpec


@dataclass(frozen=True)
class Compatibility:
    """Whether a scheduler and a task go with a variant of a model, as the records declare.

    Attributes:
        variant: of the model.
        task: what is drawn from.
        scheduler: the name under which the host lists it.
        recommended: its place among those that are recommended for the variant, from 1; None for the others.
        why_not: the reason where it does not fit, one sentence; empty where it fits.
    """

    variant: str
    task: Task
    scheduler: str
    recommended: int | None = None
    why_not: str = ""

    @property
    def fits(self) -> bool:
        """Whether it can be used."""
        return not self.why_not


def compatible(host: PluginHost, model: str, policy: Policy = ANYTHING) -> tuple[Compatibility, ...]:
    """Every installed scheduler with a model, task by task: those recommended first, then what fits, then the rest.

    Records and headers are read, and no torch is imported.

    Args:
        host: what is installed.
        model: an installed name, a family, a variant, or a path.
        policy: which paths may be looked at, where a stranger gives it.

    Raises:
        NotAllowed: the policy does not allow it.
        OptionError: no family knows the model.
    """
    wanted = wanted_by(host, model, policy)
    found: list[Compatibility] = []
    for variant in wanted.variants:
        preferred = {host.schedulers.listed(name): None for name in variant.schedulers if name in host.schedulers}
        places = {name: place for place, name in enumerate(preferred, 1)}
        for task in get_args(Task):
            unable = _why_no_task(variant, task)
            rows = [
                (name, unable or why_unfit(host.schedulers[name], wanted.family, variant)) for name in host.schedulers
            ]
            found += _sorted(Compatibility(variant.name, task, name, places.get(name), why) for name, why in rows)
    return tuple(found)


def _sorted(rows: Iterator[Compatibility]) -> list[Compatibility]:
    return sorted(rows, key=lambda row: (not row.fits, row.recommended is None, row.recommended or 0, row.scheduler))


def _why_no_task(variant: VariantSpec, task: Task) -> str:
    if task in variant.tasks or (task == "inpainting" and "image-to-image" in variant.tasks):
        return ""
    return f"The network of {variant.name} is for {' and '.join(variant.tasks)}."
