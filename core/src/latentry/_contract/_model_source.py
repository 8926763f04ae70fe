"""What a model source implements and is given: it fetches models from outside this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Report = Callable[[str], None]
"""Takes one line of progress for people."""


def silent_report(line: str) -> None:
    """Drops the line."""


@dataclass(frozen=True)
class FetchOptions:
    """How something is fetched.

    Attributes:
        revision: a branch, tag or commit; None for the newest, or for what the name itself says.
        weights: False if configurations and vocabularies are enough.
        offline: use what is on this machine already, and contact nobody.
        report: takes lines of progress while something is fetched.
    """

    revision: str | None = None
    weights: bool = True
    offline: bool = False
    report: Report = silent_report


@dataclass(frozen=True)
class ResolvedPath:
    """Files on this machine, and the name that finds the same files again.

    Attributes:
        path: a file or a folder.
        name: an absolute path, an installed name, or a model source's name.
        commit: the commit that the files are of, where a model source has such; with ``name`` it finds the same bits.
    """

    path: Path
    name: str
    commit: str | None = None

    @property
    def pinned(self) -> str:
        """Name and commit in one, as recipes keep it: ``name@commit``."""
        return f"{self.name}@{self.commit}" if self.commit else self.name


class ModelSource(Protocol):
    """The target of a ``ModelSourceSpec``: a class that is created without arguments."""

    def claims(self, text: str) -> bool:
        """Whether a text is one of this source's names. Cheap, and without network access.

        The core asks only about texts that are not files, folders or installed names, and do not look like a path.
        """
        ...

    def fetch(self, text: str, options: FetchOptions) -> ResolvedPath:
        """Brings the files to this machine, or finds them in a cache. Fetches no pickles and no code.

        Raises:
            ModelError: the model does not exist, or cannot be fetched.
            OptionError: the name and the options ask for two revisions.
        """
        ...
