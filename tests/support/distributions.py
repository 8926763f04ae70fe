"""Real distributions, small and often faulty: written, built and installed with pip, then met by a fresh Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

CORE = Path(__file__).resolve().parents[2] / "core"

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "{version}"
dependencies = {requires}
optional-dependencies = {{ {extras} }}

[project.entry-points.latentry]
{plugin} = "{module}"
"""

REPORT = """
import json, sys
from latentry import PluginHost
from latentry._discovery._kinds import KINDS
host = PluginHost(**json.loads(sys.argv[1]))
fields = ("plugin", "distribution", "version", "stage", "what", "why", "remedy", "message")
print(json.dumps({
    "names": {kind.attribute: list(getattr(host, kind.attribute)) for kind in KINDS},
    "plugins": [[p.plugin, p.distribution, p.version] for p in host.plugins],
    "problems": [{name: getattr(problem, name) for name in fields} for problem in host.problems],
}))
"""


@dataclass(frozen=True)
class Distribution:
    """A distribution to be written: one module, found through one entry point.

    Attributes:
        name: the distribution; its module has underscores for the dashes.
        code: the module's ``__init__.py``.
        files: further files of the module.
        plugin: the entry point's name; by default the name without ``latentry-``.
        requires: its ``Requires-Dist``.
        extras: what each extra adds to them.
    """

    name: str
    code: str
    files: Mapping[str, str] = field(default_factory=dict)
    plugin: str = ""
    requires: tuple[str, ...] = ("latentry>=0.1",)
    extras: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    version: str = "1.0"

    def write(self, folder: Path) -> Path:
        """Write the project below a folder and give its path."""
        project, module = folder / self.name, self.name.replace("-", "_")
        values = {
            "name": self.name,
            "version": self.version,
            "requires": json.dumps(self.requires),
            "extras": ", ".join(f"{name} = {json.dumps(needs)}" for name, needs in self.extras.items()),
            "plugin": self.plugin or self.name.removeprefix("latentry-"),
            "module": module,
        }
        for path, text in {"__init__.py": self.code, **self.files}.items():
            file = project / module / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(dedent(text))
        (project / "pyproject.toml").write_text(PROJECT.format(**values))
        return project


def pip_install(target: Path, *projects: Path) -> Path:
    """Install projects into a folder of their own, in one go, without touching this Python."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--no-compile", "--disable-pip-version-check"]
    subprocess.run([*command, "--target", str(target), *map(str, projects)], check=True)
    return target


def install(folder: Path, *distributions: Distribution) -> Path:
    """Write distributions and install them into one folder."""
    return pip_install(folder / "site", *(each.write(folder / "projects") for each in distributions))


@dataclass(frozen=True)
class Report:
    """What a host in another process found."""

    names: Mapping[str, list[str]]
    plugins: list[list[str]]
    problems: list[dict[str, str]]

    def of(self, distribution: str) -> list[dict[str, str]]:
        """The problems of one distribution."""
        return [problem for problem in self.problems if problem["distribution"] == distribution]

    def loaded(self, distribution: str) -> bool:
        """Whether a distribution's plugin was taken in."""
        return distribution in {plugin[1] for plugin in self.plugins}


@dataclass(frozen=True)
class Site:
    """A Python that sees some folders of installed distributions, in this order."""

    folders: tuple[Path, ...]

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run this Python with arguments."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LATENTRY_")}
        clean |= {"PYTHONPATH": os.pathsep.join(map(str, self.folders)), "LATENTRY_CONFIG": "", **environment}
        command = [sys.executable, *arguments]
        return subprocess.run(command, env=clean, capture_output=True, text=True, check=False)

    def python(self, code: str, **environment: str) -> str:
        """Run code that has to end well, and give what it printed."""
        done = self.run("-c", dedent(code), **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def latentry(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command line."""
        code = "import sys; from latentry._cli import main; sys.exit(main())"
        return self.run("-c", code, *arguments, **environment)

    def host(self, environment: Mapping[str, str] | None = None, **options: Any) -> Report:
        """Start a host with these options, and report."""
        done = self.run("-c", REPORT, json.dumps(options), **(environment or {}))
        assert done.returncode == 0, done.stderr
        return Report(**json.loads(done.stdout))
