"""Writes a project from its template."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from latentry import ModelFiles, OptionError, PluginHost, inspect_model
from latentry_dev.kinds import KINDS

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
SUFFIX = ".jinja"


@dataclass(frozen=True)
class PackagedModel:
    """The model that a project packages.

    Attributes:
        path: a file or a folder.
        family: ``distribution:name`` of its family.
        variant: its variant.
        size: height and width in pixels that it draws best.
    """

    path: Path
    family: str
    variant: str
    size: int


@dataclass(frozen=True)
class Project:
    """What a template is filled in with.

    Attributes:
        kind: of ``KINDS``.
        name: of the plugin, e.g. ``my-scheduler``.
    """

    kind: str
    name: str

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise OptionError(
                f"A plugin cannot be called {self.name!r}.",
                why="A name is lower-case letters and digits, joined by dashes, and begins with a letter.",
                remedy="E.g. my-scheduler.",
            )

    @property
    def distribution(self) -> str:
        """The name of the project, e.g. ``latentry-my-scheduler``."""
        return f"latentry-{self.name}"

    @property
    def module(self) -> str:
        """The name of the package, e.g. ``latentry_my_scheduler``."""
        return self.distribution.replace("-", "_")

    @property
    def type_name(self) -> str:
        """The name of its class, e.g. ``MyScheduler``."""
        return "".join(part.capitalize() for part in self.name.split("-"))

    def values(self, model: PackagedModel | None = None) -> dict[str, Any]:
        """The names that templates use."""
        kind = KINDS[self.kind]
        needs = [*kind.needs, *([model.family.partition(":")[0]] if model else [])]
        return {
            "name": self.name,
            "identifier": self.name.replace("-", "_"),
            "distribution": self.distribution,
            "module": self.module,
            "type": self.type_name,
            "noun": kind.noun,
            "kind": self.kind,
            "needs": needs,
            "use": "\n".join(kind.commands(self.name, self.module)),
            "model": model,
        }


def packaged_model(host: PluginHost, path: Path) -> PackagedModel:
    """What an installed family says about a model.

    Raises:
        ModelError: no installed family recognises it.
        OptionError: its variant is not certain, or its family is a loose file.
    """
    inspected = inspect_model(host, path)
    family, variants = inspected.family, inspected.found.variants
    if family is None or len(variants) != 1:
        why = f"It can be {' or '.join(variants)}." if variants else f"It is {inspected.found.label}."
        raise OptionError(f"{path} cannot be packaged as a model.", why=why, remedy="Give a model of one variant.")
    if not host.families.provenance(family).version:
        raise OptionError(f"The family {family} is not installed.", remedy="Package the family first.")
    size = host.families.load(family)(ModelFiles(path), variants[0]).size
    return PackagedModel(path, family, variants[0], size)


def write_project(project: Project, into: Path, model: PackagedModel | None = None) -> Path:
    """Writes the project and gives its folder.

    Raises:
        OptionError: the folder already exists.
    """
    folder = into / project.distribution
    if folder.exists():
        raise OptionError(f"{folder} exists.", remedy="Choose another name, or another folder with --into.")
    values = project.values(model)
    for template in ("common", project.kind):
        for path, source in _templates(template):
            _write(folder / _filled(path, project), source, values)
    (folder / "src" / project.module / "py.typed").touch()
    if model is not None:
        weights = folder / "src" / project.module / "model"
        weights.mkdir()
        if model.path.is_dir():
            shutil.copytree(model.path, weights, dirs_exist_ok=True)
        else:
            shutil.copyfile(model.path, weights / model.path.name)
    return folder


def write_loose(project: Project, into: Path) -> Path:
    """Writes one file and gives its path.

    Raises:
        OptionError: it already exists.
    """
    path = into / f"{project.values()['identifier']}.py"
    if path.exists():
        raise OptionError(f"{path} exists.", remedy="Choose another name, or another folder with --into.")
    source = _root() / "loose" / f"{project.kind}.py{SUFFIX}"
    _write(path, source, project.values())
    return path


def _root() -> Traversable:
    return files("latentry_dev") / "templates"


def _templates(folder: str) -> Iterator[tuple[str, Traversable]]:
    """The files of a template with their paths in a project."""
    waiting = [("", _root() / folder)]
    while waiting:
        path, place = waiting.pop()
        for each in sorted(place.iterdir(), key=lambda entry: entry.name):
            inside = f"{path}/{each.name}" if path else each.name
            if each.is_dir():
                waiting.append((inside, each))
            else:
                yield inside, each


def _filled(path: str, project: Project) -> str:
    """A path of a template with the project's names: packages cannot have folders called ``{{ module }}``."""
    filled = path.replace("MODULE", project.module).replace("NAME", project.name.replace("-", "_"))
    return filled.removesuffix(SUFFIX)


def _write(path: Path, source: Traversable, values: dict[str, Any]) -> None:
    from jinja2 import Environment, StrictUndefined

    text = source.read_text(encoding="utf-8")
    if source.name.endswith(SUFFIX):
        jinja = Environment(undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True)
        text = jinja.from_string(text).render(values)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
