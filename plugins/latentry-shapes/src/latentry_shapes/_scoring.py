"""Compares a requested scene with what was detected in a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import permutations

from latentry_shapes._detection import Detected, DetectedThing
from latentry_shapes.scenes import Scene

COLUMNS = ("background", "colours", "relation", "shapes", "all")


@dataclass(frozen=True)
class Score:
    """Which parts of a requested scene a picture shows.

    Attributes:
        background: it has the requested background.
        colours: its things have exactly the requested colours; none is missing, none is extra.
        relation: the things lie as requested; None for a scene with one thing.
        shapes: each requested colour has the requested shape.
    """

    background: bool
    colours: bool
    relation: bool | None
    shapes: bool

    @property
    def all(self) -> bool:
        """Everything is as requested."""
        return self.background and self.colours and self.relation is not False and self.shapes


@dataclass(frozen=True)
class Share:
    """How many pictures are right, and of how many."""

    right: int
    of: int

    @property
    def percent(self) -> float:
        """The share in percent; 0 if there are no pictures."""
        return 100 * self.right / self.of if self.of else 0.0


def compare(scene: Scene, detected: Detected) -> Score:
    """Scores a picture. With wrong colours, relation and shapes count as wrong too."""
    background = detected.background == scene.background
    colours = Counter(thing.color for thing in scene.things) == Counter(thing.color for thing in detected.things)
    if not colours:
        return Score(background, False, None if scene.relation is None else False, False)
    ordered = _in_requested_order(scene, detected)
    shapes = all(asked.shape == thing.shape for asked, thing in zip(scene.things, ordered, strict=True))
    relation = None if scene.relation is None else relation_of(*ordered) == scene.relation
    return Score(background, True, relation, shapes)


def _in_requested_order(scene: Scene, detected: Detected) -> tuple[DetectedThing, ...]:
    """The detected things in the order of the requested ones: by colour and, if two share one, by shape."""

    def agreement(order: tuple[DetectedThing, ...]) -> tuple[int, int]:
        pairs = list(zip(scene.things, order, strict=True))
        return sum(a.color == d.color for a, d in pairs), sum(a.shape == d.shape for a, d in pairs)

    return max(permutations(detected.things), key=agreement)


def relation_of(first: DetectedThing, second: DetectedThing) -> str:
    """Where the first thing lies from the second, along the axis on which they are farther apart."""
    right, down = first.x - second.x, first.y - second.y
    if abs(right) > abs(down):
        return "right of" if right > 0 else "left of"
    return "below" if down > 0 else "above"


def count_right(scores: Iterable[Score]) -> dict[str, Share]:
    """The share of right pictures in each column; ``relation`` counts only scenes that have one."""
    given = list(scores)
    columns = {name: [getattr(score, name) for score in given] for name in COLUMNS}
    asked = {name: [value for value in values if value is not None] for name, values in columns.items()}
    return {name: Share(sum(values), len(values)) for name, values in asked.items()}
