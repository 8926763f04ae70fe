"""Compares what was asked for with what is seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import permutations

from latentry_shapes._seeing import Seen, Sight
from latentry_shapes.scenes import Scene

COLUMNS = ("background", "colours", "relation", "shapes", "all")


@dataclass(frozen=True)
class Verdict:
    """What of a scene a picture shows.

    Attributes:
        background: the asked background.
        colours: exactly the asked colours, no thing more and none less.
        relation: the asked colours are where they should be; None for a scene of one thing.
        shapes: each asked colour has the asked shape.
    """

    background: bool
    colours: bool
    relation: bool | None
    shapes: bool

    @property
    def all(self) -> bool:
        """Everything that was asked for."""
        return self.background and self.colours and self.relation is not False and self.shapes


@dataclass(frozen=True)
class Share:
    """How many of how many."""

    right: int
    of: int

    @property
    def percent(self) -> float:
        """The share in percent, 0 where nothing was asked."""
        return 100 * self.right / self.of if self.of else 0.0


def compare(scene: Scene, sight: Sight) -> Verdict:
    """The verdict on a picture; without the right colours there is neither relation nor shape to speak of."""
    background = sight.background == scene.background
    colours = Counter(thing.color for thing in scene.things) == Counter(thing.color for thing in sight.things)
    if not colours:
        return Verdict(background, False, None if scene.relation is None else False, False)
    seen = _assign(scene, sight)
    shapes = all(asked.shape == thing.shape for asked, thing in zip(scene.things, seen, strict=True))
    relation = None if scene.relation is None else relation_of(*seen) == scene.relation
    return Verdict(background, True, relation, shapes)


def _assign(scene: Scene, sight: Sight) -> tuple[Seen, ...]:
    """The seen things in the order of the asked ones: by colour and, where two have the same, by shape."""

    def agreement(order: tuple[Seen, ...]) -> tuple[int, int]:
        pairs = list(zip(scene.things, order, strict=True))
        return sum(a.color == s.color for a, s in pairs), sum(a.shape == s.shape for a, s in pairs)

    return max(permutations(sight.things), key=agreement)


def relation_of(first: Seen, second: Seen) -> str:
    """Where the first thing lies from the second, along the axis on which they are farther apart."""
    right, down = first.x - second.x, first.y - second.y
    if abs(right) > abs(down):
        return "right of" if right > 0 else "left of"
    return "below" if down > 0 else "above"


def tally(verdicts: Iterable[Verdict]) -> dict[str, Share]:
    """The share of right pictures in each column; the relation's counts only scenes that have one."""
    given = list(verdicts)
    columns = {name: [getattr(verdict, name) for verdict in given] for name in COLUMNS}
    asked = {name: [value for value in values if value is not None] for name, values in columns.items()}
    return {name: Share(sum(values), len(values)) for name, values in asked.items()}
