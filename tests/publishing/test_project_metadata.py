"""What a package index and pip are told of each distribution."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from support.distributions import CORE

ROOT = CORE.parent
PROJECTS = [CORE / "pyproject.toml", *sorted((ROOT / "plugins").glob("*/pyproject.toml"))]


def project(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    return found


every = pytest.mark.parametrize("file", PROJECTS, ids=lambda file: file.parent.name)


@every
def test_it_has_all_urls_or_none(file: Path) -> None:
    """None until the first release, which says where everything is: a placeholder would lead nowhere."""
    assert list(project(file).get("urls", ())) in ([], ["Documentation", "Source", "Changelog", "Issues"])
    assert ".invalid" not in file.read_text(encoding="utf-8") + (file.parent / "README.md").read_text(encoding="utf-8")


@every
def test_keywords_are_sorted_and_common_ones_are_there(file: Path) -> None:
    keywords = project(file)["keywords"]
    assert keywords == sorted(set(keywords))
    assert {"diffusion", "image-generation", "latentry"} < set(keywords)


@every
def test_classifiers_give_status_audience_and_topic(file: Path) -> None:
    classifiers = project(file)["classifiers"]
    assert classifiers == sorted(classifiers)
    tops = {text.partition(" :: ")[0] for text in classifiers}
    assert {"Development Status", "Intended Audience", "Programming Language", "Topic", "Typing"} <= tops
    assert "License" not in tops  # the licence is an SPDX expression, beside which the index takes no such classifier


def test_every_distribution_has_the_same_version() -> None:
    assert len({project(file)["version"] for file in PROJECTS}) == 1


@every
def test_the_licence_is_in_the_distribution(file: Path) -> None:
    assert project(file)["license"] == "Apache-2.0"
    assert (file.parent / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@every
def test_the_readme_stands_alone(file: Path) -> None:
    """It is read on a package index and in a wheel, where no other file of the repository is."""
    text = (file.parent / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)", text)
    assert [link for link in links if not link.startswith("https://")] == []
    assert text.startswith(f"# {project(file)['name']}\n")
    assert len(text) > 400


@every
def test_the_readme_installs_all_that_is_needed_from_a_clone(file: Path) -> None:
    """Nothing is on a package index yet: what is needed of this repository has to be named, and comes first."""
    text = (file.parent / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    commands = [line for line in text.splitlines() if line.startswith("pip install ")]
    needed = {f"./plugins/{name}" for name in local_needs(file)} | {"./core"}
    own = f"./{file.parent.relative_to(ROOT).as_posix()}"
    for command in commands:
        words = [re.sub(r"\[.*\]", "", word) for word in shlex.split(command)[2:]]
        assert needed | {own} <= set(words), command
        assert all((ROOT / word / "pyproject.toml").is_file() for word in words)
    assert commands or not project(file).get("entry-points")


def local_needs(file: Path) -> set[str]:
    """The plugins of this repository that a distribution needs."""
    names = {Requirement(text).name for text in project(file)["dependencies"]}
    direct = [other for other in PROJECTS if other.parent.name in names]
    return {other.parent.name for other in direct}.union(*map(local_needs, direct))
