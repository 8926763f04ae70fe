"""The oldest dependencies that are tested are those that the distributions declare."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from itertools import chain

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from support.distributions import CORE

ROOT = CORE.parent
PROJECTS = [CORE, *sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))]
PINS = [
    Requirement(line)
    for line in (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
UNTESTED = {"torch", "flash-attn", "sageattention", "xformers"}
"""An old torch has no wheels for new Pythons, and GPU kernels cannot be installed without a GPU's compiler."""


def bounds() -> Iterator[tuple[str, Version]]:
    """Every dependency from outside with the oldest version that one distribution declares."""
    for folder in PROJECTS:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        extras = project.get("optional-dependencies", {}).values()
        for text in chain(project.get("dependencies", []), *extras):
            requirement = Requirement(text)
            if requirement.name not in UNTESTED and not requirement.name.startswith("latentry"):
                (oldest,) = (each.version for each in requirement.specifier if each.operator == ">=")
                yield requirement.name, Version(oldest)


@pytest.mark.parametrize("pin", PINS, ids=lambda pin: pin.name)
def test_a_pin_is_the_oldest_version_that_is_declared(pin: Requirement) -> None:
    (exact,) = pin.specifier
    assert exact.operator == "=="
    declared = {version for name, version in bounds() if name == pin.name}
    if pin.name not in UNTESTED:
        assert declared == {Version(exact.version)}


def test_every_dependency_has_a_pin() -> None:
    assert {name for name, _ in bounds()} <= {pin.name for pin in PINS}
