"""A contact sheet: all pictures of a command, small, with what tells them apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from latentry._cli._saving._output import writing
from latentry._errors import OptionError, visible
from latentry._pictures._formats import SUFFIXES, check_writable, format_of

if TYPE_CHECKING:
    from PIL.Image import Image

    from latentry._request._recipe import Recipe

CELL, GAP, LINE, LETTER = 256, 8, 16, 7
"""Pixels: the longer side of a picture, between pictures, and of a line and a letter of text."""
LABELS: Mapping[str, Callable[[Recipe], str]] = {
    "prompt": lambda recipe: recipe.request.prompts[recipe.index],
    "negative": lambda recipe: f"not {recipe.request.negative}",
    "model": lambda recipe: Path(recipe.request.model or "").name,
    "scheduler": lambda recipe: (recipe.request.scheduler or "").rpartition(":")[2],
    "sigmas": lambda recipe: str(recipe.request.sigmas).rpartition(":")[2],
    "steps": lambda recipe: f"{recipe.request.steps} steps",
    "guidance": lambda recipe: f"guidance {recipe.request.guidance or 0:g}",
    "seed": lambda recipe: f"seed {recipe.request.seed}",
    "index": lambda recipe: f"picture {recipe.index}",
}
"""What a label can say; a line of it is shown where not all pictures have the same."""


def check_sheet(path: Path, *, overwrite: bool) -> None:
    """Refuse a sheet that cannot be written.

    Raises:
        OptionError: it exists, or its format is not known.
    """
    kind = format_of(path.suffix)
    if kind is None:
        raise OptionError(f"--sheet {path} is not a name of a picture.", remedy=f"End it in {', '.join(SUFFIXES)}.")
    check_writable(kind)
    if path.exists() and not overwrite:
        raise OptionError(f"--sheet {path}: it exists.", remedy="Add --overwrite, or give another name.")


class ContactSheet:
    """Collects pictures in small, and writes them in a grid in the end.

    Args:
        columns: of the grid; as many as rows if not given.
    """

    def __init__(self, columns: int | None = None) -> None:
        self._columns = columns
        self._pictures: list[Image] = []
        self._recipes: list[Recipe] = []

    def add(self, picture: Image, recipe: Recipe) -> None:
        """Take a picture in."""
        small = picture.copy()
        small.thumbnail((CELL, CELL))
        self._pictures.append(small)
        self._recipes.append(recipe)

    def write(self, path: Path) -> None:
        """Write the sheet, unless there is nothing on it."""
        if not self._pictures:
            return
        kind = format_of(path.suffix)
        assert kind is not None
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _grid(self._pictures, self.labels(), self._columns).save(path, format=kind.name, **kind.settings)

    def labels(self) -> list[list[str]]:
        """Lines for each picture: what is not the same in all of them."""
        lines = {name: [visible(say(recipe)) for recipe in self._recipes] for name, say in LABELS.items()}
        told = [texts for texts in lines.values() if len(set(texts)) > 1]
        return [list(texts) for texts in zip(*told, strict=True)] or [[] for _ in self._recipes]


def _grid(pictures: Sequence[Image], labels: Sequence[Sequence[str]], columns: int | None) -> Image:
    from PIL import Image, ImageDraw, ImageFont

    columns = columns or math.ceil(math.sqrt(len(pictures)))
    wide, high = (max(side) for side in zip(*(picture.size for picture in pictures), strict=True))
    wide = max(wide, 128)
    step = high + LINE * max(map(len, labels)) + GAP
    rows = math.ceil(len(pictures) / columns)
    sheet = Image.new("RGB", (columns * (wide + GAP) + GAP, rows * step + GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=LINE - 4)
    for number, (picture, lines) in enumerate(zip(pictures, labels, strict=True)):
        left, top = GAP + number % columns * (wide + GAP), GAP + number // columns * step
        sheet.paste(picture, (left, top))
        for place, line in enumerate(lines):
            text = line if len(line) * LETTER <= wide else f"{line[: wide // LETTER - 1]}…"
            pen.text((left, top + high + 1 + place * LINE), text, fill="black", font=font)
    return sheet
