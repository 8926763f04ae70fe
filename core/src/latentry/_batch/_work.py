"""What an executor is given and gives back: plain data, which can be sent to another process or machine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from latentry._discovery import PluginHost
from latentry._errors import LatentryError, OptionError
from latentry._generate._engine import Engine
from latentry._policy import ANYTHING, Policy
from latentry._request._generation_request import GenerationRequest
from latentry._request._memory_policy import MemoryPolicy
from latentry._request._result import GenerationResult


@dataclass(frozen=True)
class Line:
    """A request.

    Attributes:
        number: of its line, from 1.
        fields: of a ``GenerationRequest``, as JSON has them.
    """

    number: int
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class DrawnLine:
    """What became of a line.

    Attributes:
        number: of the line.
        files: its pictures, with their recipes in them.
        recipes: the same as JSON.
        notes: what the person who asked should know.
        error: why nothing was drawn; None for a line that was drawn.
        figures: what else was measured, as JSON has it.
    """

    number: int
    files: tuple[bytes, ...] = ()
    recipes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    error: Mapping[str, Any] | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class BatchSettings:
    """How pictures are drawn, wherever that is.

    Attributes:
        load, block, plugin_dirs: of the ``PluginHost``.
        memory: fields of the ``MemoryPolicy``.
        suffix: the format of the pictures' files.
        workers: how many engines; None leaves it to the executor.
        policy: of the engines.
        budget: likewise.
        batch_invariant: likewise.
    """

    load: tuple[str, ...] | None = None
    block: tuple[str, ...] = ()
    plugin_dirs: tuple[Path, ...] = ()
    memory: Mapping[str, Any] = field(default_factory=dict)
    suffix: str = ".png"
    workers: int | None = None
    policy: Policy = ANYTHING
    budget: int | None = None
    batch_invariant: bool = False

    def engine(self) -> Engine:
        """An engine of one's own."""
        host = PluginHost(load=self.load, block=self.block, plugin_dirs=self.plugin_dirs)
        memory = MemoryPolicy(**self.memory)
        return Engine(host, memory, policy=self.policy, budget=self.budget, batch_invariant=self.batch_invariant)


class Executor(Protocol):
    """The target of an ``ExecutorSpec``, a class that is created without arguments."""

    def run(self, lines: Sequence[Line], settings: BatchSettings) -> Iterator[DrawnLine]:
        """Draws every line, and gives each back once, in any order; faults of a line are in its ``error``.

        Closing the iterator ends what is under way.
        """
        ...


def request_of(line: Line) -> GenerationRequest:
    """The request of a line.

    Raises:
        OptionError: a field cannot be what it is.
    """
    from pydantic import ValidationError

    try:
        return GenerationRequest.model_validate_json(json.dumps(dict(line.fields)))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        raise OptionError(f"{name}: {first['msg']}.", field=name) from error


def finished_line(line: Line, result: GenerationResult, suffix: str) -> DrawnLine:
    """The pictures of a line as files."""
    pairs = zip(result.images, result.recipes, strict=True)
    files = [recipe.embed(image, suffix, parameters=result.parameters(recipe)) for image, recipe in pairs]
    recipes = (recipe.model_dump_json() for recipe in result.recipes)
    return DrawnLine(line.number, tuple(files), tuple(recipes), result.notes)


def failed_line(line: Line, error: LatentryError) -> DrawnLine:
    """Why a line has no pictures."""
    about = {"code": error.code, "field": error.field, "what": error.what, "why": error.why, "remedy": error.remedy}
    return DrawnLine(line.number, error=about)


def draw_line(engine: Engine, line: Line, suffix: str = ".png") -> DrawnLine:
    """Draws one line, for executors that draw lines one at a time.

    Args:
        engine: draws.
        line: the request.
        suffix: the format of the files.
    """
    try:
        return finished_line(line, engine.generate(request_of(line)), suffix)
    except LatentryError as error:
        return failed_line(line, error)
