"""Every wheel is built, says what it is, and works in a fresh environment that holds only what it declares.

The suite tries one wheel of each kind; ``tox -e wheels`` sets ``EVERY_WHEEL`` and tries them all.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.metadata import Metadata
from support.distributions import CORE
from support.isolated import PLUGINS, build_wheels, make_environment
from support.scripts import script

pytestmark = pytest.mark.slow

DISTRIBUTIONS = script("directory").distributions()
SAMPLE = {"latentry-ddim", "latentry-sdxl", "latentry-hub", "latentry-attention-sliced", "latentry-shapes"}
TRIED = [name for name in DISTRIBUTIONS if name in SAMPLE or os.environ.get("EVERY_WHEEL")]
LOAD = """
import json, sys
from latentry import PluginHost
from latentry._discovery._kinds import KINDS
import latentry_NAME
host = PluginHost()
own = {}
for kind in KINDS:
    registry = getattr(host, kind.attribute)
    for name in registry:
        if registry.provenance(name).distribution == sys.argv[1]:
            own.setdefault(kind.attribute, []).append(name)
            for field in registry[name].TARGETS:
                if getattr(registry[name], field):
                    registry.load(name, field)
print(json.dumps({"own": own, "problems": [str(problem) for problem in host.problems]}))
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of all distributions, or of those tried and what they need."""
    needed = {other for name in TRIED for other in (*DISTRIBUTIONS[name]["needs"], name)}
    projects = [CORE, *(PLUGINS / name for name in sorted(needed))]
    built = build_wheels(tmp_path_factory.mktemp("wheels"), *projects)
    return {
        "latentry" if project == CORE else project.name: wheel for project, wheel in zip(projects, built, strict=True)
    }


def test_the_metadata_is_what_an_index_accepts(wheels: dict[str, Path]) -> None:
    """``twine check`` does the same and more, in ``tox -e wheels``."""
    for name, wheel in wheels.items():
        with ZipFile(wheel) as opened:
            (file,) = (path for path in opened.namelist() if path.endswith(".dist-info/METADATA"))
            metadata = Metadata.from_email(opened.read(file), validate=True)
        assert metadata.name == name
        assert metadata.summary and metadata.keywords and metadata.license_expression
        assert metadata.description_content_type == "text/markdown"
        assert metadata.description is not None
        assert metadata.description.startswith(f"# {name}\n")


def test_wheels_stay_small(wheels: dict[str, Path]) -> None:
    assert {name for name, wheel in wheels.items() if wheel.stat().st_size > 1_000_000} <= {
        name for name in DISTRIBUTIONS if name.startswith("latentry-shapes")
    }


@pytest.mark.parametrize("name", TRIED)
def test_a_wheel_works_with_what_it_declares_alone(name: str, wheels: dict[str, Path], tmp_path: Path) -> None:
    """Its records are taken and all that they point at is imported: what is not declared is not there."""
    ours = [*DISTRIBUTIONS[name]["needs"], name]
    environment = make_environment(tmp_path, "latentry", *ours)
    environment.install(wheels["latentry"], *(wheels[each] for each in ours))
    done = environment.run("-c", LOAD.replace("latentry_NAME", name.replace("-", "_")), name)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["problems"] == []
    directory = script("directory").directory()
    known = {kind: sorted(n for n, giver in names.items() if giver == name) for kind, names in directory.items()}
    assert answer["own"] == {kind: names for kind, names in known.items() if names}
