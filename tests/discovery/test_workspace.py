"""The workspace's own files name every distribution: what is not listed is not tested by anyone who follows them."""

from __future__ import annotations

import configparser
import re
import tomllib
from typing import Any

import pytest
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


@pytest.mark.parametrize("distribution", PROJECTS)
def test_tox_tests_every_plugin_beside_all_that_it_needs(distribution: str) -> None:
    environment = distribution.removeprefix("latentry-")
    assert re.search(rf"^    {environment}$", (ROOT / "tox.ini").read_text(encoding="utf-8"), re.MULTILINE)
    installed = installed_by_tox(environment)
    assert distribution in installed
    needed = set().union(*(local(name, extras) for name, extras in installed.items()))
    assert needed == set(installed)


def test_the_requirements_hold_every_distribution() -> None:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert {line[3:].partition("[")[0] for line in text.splitlines() if line.startswith("-e ")} == {
        "core",
        *(f"plugins/{name}" for name in PROJECTS),
    }


@pytest.mark.parametrize("distribution", PROJECTS)
def test_a_plugin_is_named_after_its_folder_and_takes_this_core(distribution: str) -> None:
    project = metadata(distribution)
    assert project["name"] == distribution
    assert "latentry>=0.1,<0.2" in project["dependencies"]
    for module in project.get("entry-points", {}).get("latentry", {}).values():  # a library of other plugins has none
        assert module == distribution.replace("-", "_")
