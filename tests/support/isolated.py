"""A fresh virtual environment that sees the core's declared dependencies and nothing else of this interpreter."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from support.commandline import clean_environment
from support.distributions import CORE

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
PLUGINS = CORE.parent / "plugins"


def build_wheels(folder: Path, *projects: Path) -> tuple[Path, ...]:
    """Wheels of projects, in their order."""
    command = [*PIP, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*command, *map(str, projects)], check=True)
    made = {wheel.name.partition("-")[0].replace("_", "-"): wheel for wheel in folder.glob("*.whl")}
    return tuple(made["latentry" if project == CORE else project.name] for project in projects)


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    Attributes:
        folder: where it is.
    """

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")

    def pip(self, *arguments: object) -> None:
        """pip from outside: the environment holds none."""
        command = [*PIP, "--python", str(self.python), *map(str, arguments)]
        subprocess.run(command, check=True, env=self._variables())

    def install(self, *wheels: Path) -> None:
        """Install wheels, dependencies checked by hand."""
        self.pip("install", "--no-deps", "--no-index", "--no-compile", *wheels)

    def run(self, *arguments: object, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run its Python, in a folder."""
        command = [str(self.python), *map(str, arguments)]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=self._variables())

    @staticmethod
    def _variables() -> dict[str, str]:
        return {name: value for name, value in clean_environment().items() if name != "PYTHONPATH"}


def make_environment(folder: Path, *roots: str, also: tuple[str, ...] = ()) -> Environment:
    """An environment that sees what some distributions need, though not those themselves, and others with theirs."""
    libraries = folder / "libraries"
    libraries.mkdir(parents=True)
    for needed in (*_closure((*roots, *also)), *map(distribution, also)):
        for top in {file.parts[0] for file in needed.files or () if not file.parts[0].startswith("..")}:
            source, link = Path(str(needed.locate_file(top))), libraries / top
            if source.exists() and not link.exists() and top != "__pycache__":
                link.symlink_to(source, target_is_directory=source.is_dir())
    venv.create(folder / "venv", with_pip=False, symlinks=sys.platform != "win32")
    environment = Environment(folder / "venv")
    site = environment.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    (Path(site) / "libraries.pth").write_text(f"{libraries}\n")
    return environment


def _closure(roots: tuple[str, ...]) -> Iterator[Distribution]:
    """Everything that the roots need, by their own metadata."""
    waiting, seen = list(roots), set(roots)
    while waiting:
        for text in distribution(waiting.pop()).requires or ():
            requirement = Requirement(text)
            wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if wanted and requirement.name not in seen:
                seen.add(requirement.name)
                waiting.append(requirement.name)
                yield distribution(requirement.name)
