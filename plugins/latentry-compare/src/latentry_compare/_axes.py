"""What is compared: the values of each axis, and the lines of a batch that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from latentry import OptionError
from latentry.batches import Line

Fields = Mapping[str, Any]


class Setting(NamedTuple):
    """One combination of what is compared. What is None is chosen as for any request."""

    scheduler: str | None
    sigmas: str | None
    steps: int | None
    guidance: float | None

    @property
    def fields(self) -> dict[str, Any]:
        """Of a request."""
        return {name: value for name, value in self._asdict().items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Axes:
    """The values of each axis; every combination is drawn.

    Attributes:
        prompts: fields of a request for each, as ``latentry.batches.read_prompts`` gives them.
        schedulers: names, by any of their spellings.
        sigmas: names of sigma schedules; None for the one that the scheduler prefers.
        steps: numbers of steps.
        guidance: guidance scales.
        seeds: of the noise.
    """

    prompts: Sequence[Fields]
    schedulers: Sequence[str | None] = (None,)
    sigmas: Sequence[str | None] = (None,)
    steps: Sequence[int | None] = (None,)
    guidance: Sequence[float | None] = (None,)
    seeds: Sequence[int] = (0,)

    def __post_init__(self) -> None:
        for name, values in self._named().items():
            if not values:
                raise OptionError(f"{name}: there is nothing to compare.", remedy="Give at least one value.")
            seen: list[Any] = []
            for value in values:
                if value in seen:
                    raise OptionError(
                        f"{name}: {value} is given twice.", why="Both would draw the same.", remedy="Leave one out."
                    )
                seen.append(value)
        for prompt in self.prompts:
            if taken := sorted({*Setting._fields, "seed", "count", "plan"} & prompt.keys()):
                raise OptionError(
                    f"The prompt '{prompt['prompt']}' has a value of its own for {', '.join(taken)}.",
                    why="That is compared, so it has to be the same for all prompts.",
                    remedy="Leave it out of the file, and give it for all.",
                )

    def _named(self) -> dict[str, Sequence[Any]]:
        return {
            "prompts": self.prompts,
            "scheduler": self.schedulers,
            "sigmas": self.sigmas,
            "steps": self.steps,
            "guidance": self.guidance,
            "seed": self.seeds,
        }

    @property
    def values(self) -> Mapping[str, Sequence[Any]]:
        """Of each field of ``Setting``."""
        named = self._named()
        return {name: named[name] for name in Setting._fields}

    @property
    def settings(self) -> tuple[Setting, ...]:
        """All combinations of them, the last axis fastest."""
        return tuple(Setting(*values) for values in product(*self.values.values()))

    @property
    def subjects(self) -> tuple[tuple[int, int], ...]:
        """What each setting draws: the index of a prompt, and a seed."""
        return tuple(product(range(len(self.prompts)), self.seeds))

    def lines(self, group: int, fields: Fields) -> tuple[Line, ...]:
        """A line of a batch for each subject.

        Args:
            group: which of all groups of lines it is, from 0.
            fields: of all their requests.
        """
        first = group * len(self.subjects) + 1
        return tuple(
            Line(number, {**fields, **self.prompts[prompt], "seed": seed})
            for number, (prompt, seed) in enumerate(self.subjects, first)
        )
