"""Alternatives as AUTOMATIC1111's users write them: ``{red|blue}``, and ``__colour__`` for a line of a file."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

from latentry._errors import OptionError

CHOICE = re.compile(r"\{([^{}]*)\}")
WILDCARD = re.compile(r"__([\w./-]+?)__")
WEIGHT = re.compile(r"\s*(\d+(?:\.\d+)?)::(.*)", re.DOTALL)
DEEPEST = 32
"""Choices within choices, and lines that name further files."""


class Wildcards:
    """Chooses among alternatives, from a stream of its own.

    Args:
        seed: of the choices.
        folder: where the files of wildcards are; None for alternatives in braces alone.
    """

    def __init__(self, seed: int, folder: Path | None) -> None:
        self._random, self._folder = Random(seed), folder
        self._lines: dict[str, list[str]] = {}

    def __call__(self, prompt: str) -> str:
        """The prompt with one of each set of alternatives, the innermost first.

        Raises:
            OptionError: a file is missing or empty, files name each other without end, or a choice is not understood.
        """
        for _ in range(DEEPEST):
            chosen = CHOICE.sub(lambda match: self._choose(match[1]), prompt)
            if self._folder is not None:
                chosen = WILDCARD.sub(lambda match: self._line(match[1]), chosen)
            if chosen == prompt:
                return chosen
            prompt = chosen
        raise OptionError("The wildcards of the prompt name each other without end.", field="prompt")

    def _choose(self, text: str) -> str:
        if "$$" in text:
            raise OptionError(
                f"{{{text}}}: choosing several at once is not supported.",
                remedy="Write a choice for each.",
                field="prompt",
            )
        options, weights = [], []
        for option in text.split("|"):
            match = WEIGHT.fullmatch(option)
            options.append(match[2] if match else option)
            weights.append(float(match[1]) if match else 1.0)
        return self._random.choices(options, weights if any(weights) else None)[0]

    def _line(self, name: str) -> str:
        if name not in self._lines:
            self._lines[name] = self._read(name)
        return self._random.choice(self._lines[name])

    def _read(self, name: str) -> list[str]:
        assert self._folder is not None
        folder = self._folder.resolve()
        path = (folder / f"{name}.txt").resolve()
        try:
            if not path.is_relative_to(folder):
                raise OSError("it is outside the folder")
            lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, ValueError) as error:
            near = sorted(each.stem for each in folder.glob("*.txt"))
            raise OptionError(
                f"__{name}__: there is no file {name}.txt that can be read in {self._folder}.",
                why="" if isinstance(error, FileNotFoundError) else str(error),
                remedy=f"There are: {', '.join(near[:20]) or 'none'}.",
                field="prompt",
            ) from error
        found = [line for line in lines if line and not line.startswith("#")]
        if not found:
            raise OptionError(f"__{name}__: {path} has no lines.", field="prompt")
        return found
