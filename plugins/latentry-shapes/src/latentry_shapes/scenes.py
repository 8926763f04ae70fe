"""What pictures can show, their captions, and which colour-shape pairs are held out of training."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

RGB = tuple[int, int, int]

COLORS: Mapping[str, RGB] = MappingProxyType(
    {
        "red": (215, 20, 30),
        "orange": (255, 125, 0),
        "yellow": (255, 230, 40),
        "green": (20, 150, 50),
        "cyan": (40, 210, 220),
        "blue": (30, 60, 230),
        "purple": (140, 30, 170),
        "pink": (255, 140, 200),
    }
)
BACKGROUNDS: Mapping[str, RGB] = MappingProxyType(
    {"black": (0, 0, 0), "white": (255, 255, 255), "gray": (128, 128, 128)}
)
SHAPES: tuple[str, ...] = ("circle", "square", "triangle", "diamond", "cross", "ring")
RELATIONS: tuple[str, ...] = ("left of", "right of", "above", "below")
OPPOSITE: Mapping[str, str] = MappingProxyType(
    {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
)
PARTLY_NAMED = 0.7
"""Share of things that have only a colour or only a shape in their name, in scenes that have such things."""
SIZE = 64
"""Height and width of a picture in pixels."""


@dataclass(frozen=True)
class Thing:
    """One object: a colour and a shape. For a partly named thing one of them is empty."""

    color: str
    shape: str

    def name(self) -> str:
        """E.g. ``a red circle``."""
        words = [word for word in (self.color, self.shape) if word]
        return " ".join([article(words[0]), *words])


@dataclass(frozen=True)
class Scene:
    """What a picture shows. ``relation`` says where the first of two things lies from the second."""

    background: str
    things: tuple[Thing, ...]
    relation: str | None = None

    def caption(self, *, background: bool = True) -> str:
        """The prompt for this scene, e.g. ``a red circle left of a blue square on a black background``."""
        names = [thing.name() for thing in self.things]
        words = names[0] if self.relation is None else f"{names[0]} {self.relation} {names[1]}"
        return f"{words} on a {self.background} background" if background else words

    def inverse(self) -> Scene:
        """The same picture described the other way round: a left of b is b right of a."""
        if self.relation is None:
            return self
        return Scene(self.background, self.things[::-1], OPPOSITE[self.relation])


def article(word: str) -> str:
    """``an`` before a vowel, else ``a``."""
    return "an" if word[0] in "aeiou" else "a"


PAIRS: tuple[Thing, ...] = tuple(Thing(c, s) for c, s in itertools.product(COLORS, SHAPES))
HELD_OUT: tuple[Thing, ...] = tuple(Thing(color, SHAPES[i % len(SHAPES)]) for i, color in enumerate(COLORS))
"""One pair for each colour that training never shows and that the judge asks for."""
TRAINED: tuple[Thing, ...] = tuple(pair for pair in PAIRS if pair not in HELD_OUT)


def random_scene(rng: random.Random, pairs: Sequence[Thing] = TRAINED, singles: float = 0.25) -> Scene:
    """A scene of one thing (with probability ``singles``) or two different ones from ``pairs``."""
    background = rng.choice(tuple(BACKGROUNDS))
    if rng.random() < singles:
        return Scene(background, (rng.choice(pairs),))
    first, second = rng.sample(pairs, 2)
    return Scene(background, (first, second), rng.choice(RELATIONS))


def partly_named(scene: Scene, rng: random.Random) -> Scene:
    """The scene with only a colour or only a shape for some of its things."""
    things = []
    for thing in scene.things:
        drawn = rng.random()
        color = thing.color if drawn >= PARTLY_NAMED / 2 else ""
        shape = "" if PARTLY_NAMED / 2 <= drawn < PARTLY_NAMED else thing.shape
        things.append(Thing(color, shape))
    return replace(scene, things=tuple(things))


def words() -> tuple[str, ...]:
    """Every word that a caption can contain, in a fixed order."""
    text = ["a", "an", "on", "background", *COLORS, *BACKGROUNDS, *SHAPES]
    return tuple(dict.fromkeys([*text, *(word for relation in RELATIONS for word in relation.split())]))
