"""Faults as values: what went wrong, in which plugin, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from latentry._discovery._loading._sources import Provenance, Source
from latentry._errors import LatentryError, PluginError

T = TypeVar("T")

Stage = Literal["find", "contract", "import", "register", "hook", "record", "collision", "load"]
"""Where a plugin failed, in the order of events; ``load`` is the first use of a record's target."""

FAILED = {
    "find": "cannot be found",
    "contract": "has requirements that cannot be read",
    "import": "cannot be imported",
    "register": "cannot be registered",
    "hook": "fails while it registers its records",
    "record": "registers something that cannot be used",
    "collision": "collides with another plugin",
    "load": "cannot be used",
}


@dataclass(frozen=True)
class Problem:
    """One fault of one plugin; the host goes on without what is broken.

    Attributes:
        plugin: the entry point's name, or the stem of a loose file.
        distribution: the installed distribution, or the path of a loose file.
        version: the distribution's version; empty for a loose file.
        stage: where it failed.
        error: the exception.
    """

    plugin: str
    distribution: str
    version: str
    stage: Stage
    error: BaseException

    @property
    def what(self) -> str:
        """The fault in one sentence that names the plugin and its distribution."""
        label = self._owner.label
        who = f"plugin '{self.plugin}'" + (f" of {label}" if label else "")
        return f"{who}: {self.error.what if isinstance(self.error, LatentryError) else FAILED[self.stage]}"

    @property
    def why(self) -> str:
        """The cause."""
        if isinstance(self.error, LatentryError):
            return self.error.why
        return cause(self.error)

    @property
    def remedy(self) -> str:
        """What to do: the repair where one is known, and how to leave the plugin out."""
        return " ".join(part for part in (self._repair(), self.removal) if part)

    @property
    def removal(self) -> str:
        """How to leave the plugin out."""
        return self._owner.removal

    @property
    def message(self) -> str:
        """What, why and remedy, a line each."""
        return "\n".join(part for part in (self.what, self.why, self.remedy) if part)

    def as_error(self) -> PluginError:
        """The same as an exception, to be raised from ``error``."""
        return PluginError(self.what, why=self.why, remedy=self.remedy)

    @property
    def _owner(self) -> Provenance:
        return Provenance(self.plugin, self.distribution, self.version)

    def _repair(self) -> str:
        if isinstance(self.error, LatentryError):
            return self.error.remedy
        if not self.version:
            return "Correct the file."
        if isinstance(self.error, ImportError) and (self.error.name or "").partition(".")[0] == "latentry":
            return "If the plugin is for a newer version: upgrade latentry."
        if isinstance(self.error, ImportError):
            return f"Install {self.distribution} again, with its dependencies."
        return f"Look for a newer release of {self.distribution}."


def cause(error: BaseException) -> str:
    """An exception in words, even one that fails to format itself."""
    try:
        text = str(error)
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class Ledger:
    """The problems of one host in the order they came up; in strict mode the first one is raised."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._problems: list[Problem] = []

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(self._problems)

    def add(self, owner: Provenance, stage: Stage, error: BaseException) -> Problem:
        """Note a fault; the same one again, as when a broken target is asked for twice, is noted once."""
        problem = Problem(owner.plugin, owner.distribution, owner.version, stage, error)
        if self._strict:
            raise problem.as_error() from error
        if problem.message not in {known.message for known in self._problems}:
            self._problems.append(problem)
        return problem

    def attempt(self, source: Source, stage: Stage, action: Callable[[], T]) -> T | None:
        """The action's result, or None and a problem.

        A plugin may raise anything, also ``SystemExit`` from a stray ``sys.exit()``. Ctrl-C is the user's.
        """
        try:
            return action()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self.add(source.owner, stage, error)
            return None

    def survives(self, source: Source, stage: Stage, action: Callable[[], object]) -> bool:
        """Whether the action went through; a problem where it did not."""
        return self.attempt(source, stage, lambda: (action(),)) is not None
