"""The workspace's own files name every distribution: what is not listed is not tested by anyone who follows them."""

from __future__ import annotations

import configparser
import re
import tomllib
from importlib.metadata import distribution
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.distributions import CORE

ROOT = CORE.parent
PROJECTS = {path.parent.name: path for path in sorted((ROOT / "plugins").glob("*/pyproject.toml"))}


def metadata(distribution: str) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads(PROJECTS[distribution].read_text(encoding="utf-8"))["project"]
    return project


def local(wanted: str, extras: tuple[str, ...] = ()) -> set[str]:
    """The plugins of this repository that a plugin, with these extras, needs; itself included."""
    project = metadata(wanted)
    needed = [*project.get("dependencies", [])]
    for extra in extras:
        needed += project["optional-dependencies"][extra]
    names = {re.split(r"[^A-Za-z0-9-]", text)[0] for text in needed} & set(PROJECTS)
    return {wanted}.union(*map(local, names - {wanted}))


def installed_by_tox(environment: str) -> dict[str, tuple[str, ...]]:
    """The plugins that an environment of tox.ini installs, and with which extras."""
    parser = configparser.RawConfigParser()
    parser.read_string((ROOT / "tox.ini").read_text(encoding="utf-8"))
    for section in parser.sections():
        names = re.fullmatch(r"testenv:\{(.*)\}", section)
        if names and environment in names[1].split(","):
            text = parser[section]["deps"].replace("{env_name}", environment)
            found = re.findall(r"-e plugins\{/\}([a-z0-9-]+)(?:\[(.*)\])?", text)
            return {name: tuple(filter(None, extras.split(","))) for name, extras in found}
    return {}


def requirements(file: str) -> list[str]:
    """The lines of a requirements file, without comments and the pins."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-c "))]


def closure(*roots: str) -> dict[str, None]:
    """Every distribution that these need without an extra, by installed metadata, themselves included."""
    found: dict[str, None] = {}
    waiting = list(roots)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found[name] = None
        for text in distribution(name).requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


@pytest.mark.parametrize("distribution", PROJECTS)
def test_tox_tests_every_plugin_beside_all_that_it_needs(distribution: str) -> None:
    environment = distribution.removeprefix("latentry-")
    assert re.search(rf"^    {environment}$", (ROOT / "tox.ini").read_text(encoding="utf-8"), re.MULTILINE)
    installed = installed_by_tox(environment)
    assert distribution in installed
    needed = set().union(*(local(name, extras) for name, extras in installed.items()))
    assert needed == set(installed)


def test_the_first_requirements_file_holds_every_distribution_and_nothing_else() -> None:
    wanted = ["-e core", *(f"-e plugins/{name}" for name in PROJECTS)]
    assert sorted(requirements("requirements.txt")) == sorted(wanted)


def test_what_drawing_needs_includes_nothing_of_tests_types_and_lint() -> None:
    tools = {canonicalize_name(re.split(r"[^\w-]", line)[0]) for line in requirements("requirements-dev.txt")}
    needed = set(closure("latentry", *PROJECTS))
    assert {"torch", "diffusers", "pydantic"} <= needed
    assert not tools & needed


def test_the_oldest_environment_holds_every_distribution() -> None:
    parser = configparser.RawConfigParser()
    parser.read_string((ROOT / "tox.ini").read_text(encoding="utf-8"))
    found = re.findall(r"-e (?:plugins\{/\})?([a-z0-9-]+)", parser["testenv:oldest"]["deps"])
    assert sorted(found) == sorted(["core", *PROJECTS])


@pytest.mark.parametrize("folder", ["core", *(f"plugins/{name}" for name in PROJECTS)])
def test_every_distribution_says_which_pythons_it_is_tested_on(folder: str) -> None:
    """Those of tox; 3.14 is only tried, on GitHub."""
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    said = [text.rpartition(" ")[2] for text in project["classifiers"] if text.startswith("Programming Language")]
    assert said == ["3.11", "3.12", "3.13"]
    assert project["requires-python"] == ">=3.11"


def test_ci_runs_the_commands_of_the_readme() -> None:
    """Word for word, but for how talkative pip is and where the linters stand between them."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = [step for line in re.findall(r"^.*\.venv/bin/.*$", text, re.MULTILINE) for step in line.split(" && ")]
    installs = [step for step in commands if " -m venv " in step or "/pip install " in step]
    tests = [step for step in commands if " -m pytest" in step]
    script = (ROOT / ".ci/run").read_text(encoding="utf-8").replace(" --quiet --disable-pip-version-check", "")
    run = [line for line in script.splitlines() if line in installs + tests]
    assert len(installs) == 3
    assert len(tests) == 1
    assert run == installs + tests


@pytest.mark.parametrize("distribution", PROJECTS)
def test_a_plugin_is_named_after_its_folder_and_bounds_the_contract(distribution: str) -> None:
    project = metadata(distribution)
    assert project["name"] == distribution
    assert "latentry>=0.1,<2" in project["dependencies"]
    for module in project.get("entry-points", {}).get("latentry", {}).values():  # a library of other plugins has none
        assert module == distribution.replace("-", "_")
