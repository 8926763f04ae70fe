"""The directory of known names says what this repository's plugins say themselves."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from support.distributions import CORE, Site

PLUGINS = CORE.parent / "plugins"
DIRECTORY = CORE / "src" / "latentry" / "_peers" / "directory.json"

ASK = """
    import json
    from importlib import import_module
    from latentry._discovery._kinds import KINDS
    module = import_module("{module}")
    print(json.dumps({{
        kind.attribute: [s.name for s in getattr(module, kind.hook, lambda: ())() if not s.unlisted] for kind in KINDS
    }}))
"""


def project_of(file: Path) -> dict[str, Any]:
    """What a ``pyproject.toml`` says of its distribution."""
    project: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    return project


PROJECTS = [file for file in sorted(PLUGINS.glob("*/pyproject.toml")) if "entry-points" in project_of(file)]
"""Of the plugins; a library for plugins registers nothing."""


def listed(distribution: str) -> dict[str, set[str]]:
    """What the directory says that a distribution gives."""
    directory = json.loads(DIRECTORY.read_text(encoding="utf-8"))
    return {kind: {n for n, d in names.items() if d == distribution} for kind, names in directory.items()}


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.parent.name)
def test_what_a_plugin_gives_is_in_the_directory(project: Path, core: Path) -> None:
    data = project_of(project)
    given: dict[str, set[str]] = {}
    for module in data["entry-points"]["latentry"].values():
        answer = json.loads(Site((core, project.parent / "src")).python(ASK.format(module=module)))
        given |= {kind: given.get(kind, set()) | set(names) for kind, names in answer.items()}
    assert listed(data["name"]) == given


def test_every_distribution_in_the_directory_is_in_the_repository() -> None:
    directory = json.loads(DIRECTORY.read_text(encoding="utf-8"))
    distributions = {distribution for names in directory.values() for distribution in names.values()}
    assert distributions <= {project.parent.name for project in PROJECTS}
