"""The rooms of the core: imports go one way between them, and never in a circle.

What each room may use is in ``rooms.toml`` and nowhere else.
"""

from __future__ import annotations

import re
import shutil
import tomllib
from functools import cache
from pathlib import Path

import pytest
from support.imports import Graph, circles, graph_of, imports_of

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core" / "src" / "latentry"
TABLE = tomllib.loads((Path(__file__).parent / "rooms.toml").read_text(encoding="utf-8"))
ROOMS: dict[str, list[str]] = TABLE["rooms"]
ALLOWED: dict[str, list[str]] = ROOMS | TABLE["public"]
PACKAGES = [CORE, *sorted(path.parent for path in ROOT.glob("plugins/*/src/*/__init__.py"))]
UNNAMED = {"_lazy", "_moved", "_builtin", "hookspecs"}
"""Single files, which a room that may use everything but some need not name."""
PUBLIC = {"latentry", "latentry.hookspecs", "latentry.testing", *(f"latentry.{face}" for face in TABLE["public"])}


def room_of(module: str) -> str:
    """The room of a module of the core; ``latentry`` for the package itself."""
    return module.split(".")[1] if "." in module else "latentry"


read = cache(graph_of)


def faults(graph: Graph) -> list[str]:
    """Imports between rooms that the table does not allow, and rooms it does not know."""
    return sorted(
        f"{module} imports {other}"
        for module, others in graph.items()
        for other in others
        if other.split(".")[0] == "latentry"
        and room_of(other) != room_of(module)
        and room_of(other) not in ALLOWED.get(room_of(module), [])
    )


@pytest.fixture(scope="module")
def graph() -> Graph:
    return read(CORE)


def test_rooms_import_only_what_they_may(graph: Graph) -> None:
    assert faults(graph) == []


def test_every_room_is_in_the_table(graph: Graph) -> None:
    assert {room_of(module) for module in graph} == set(ALLOWED)


def test_the_table_goes_one_way() -> None:
    """A room may use rooms above it in the table, so that no two rooms can use each other."""
    names = list(ROOMS)
    for room, used in ROOMS.items():
        assert all(names.index(other) < names.index(room) for other in used), room


def test_what_the_rooms_say_of_themselves_is_what_the_table_says() -> None:
    for room, used in ROOMS.items():
        init = CORE / room / "__init__.py"
        if not init.is_file():
            continue
        text = " ".join(init.read_text(encoding="utf-8").split('"""')[1].split())
        said = re.search(r"May use(?: (everything)(?: but)?|:) ?([^.]*)\.", text)
        assert said, f"{room} does not say what it may use"
        named = set(re.findall(r"``(\w+)``", said[2]))
        assert named == (set(ROOMS) - {room, *used, *UNNAMED} if said[1] else set(used)), room


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_no_modules_import_each_other_in_a_circle(package: Path) -> None:
    assert circles(read(package)) == []


@pytest.mark.parametrize("package", PACKAGES[1:], ids=lambda package: package.name)
def test_plugins_import_public_modules_of_the_core(package: Path) -> None:
    """And no module with an underscore of another plugin."""
    for module, others in read(package).items():
        foreign = {other for other in others if other.split(".")[0] not in (package.name, "latentry")}
        core = {other for other in others if other.split(".")[0] == "latentry"}
        assert core <= PUBLIC, module
        hidden = {other for other in foreign if other.startswith("latentry_") and "._" in other}
        assert not hidden, (module, hidden)


PLANTS = {
    "upwards": ("_numerics/_linear.py", "from latentry._resolve._plan import choose_way"),
    "upwards, for types": ("_contract/_progress.py", "if TYPE_CHECKING:\n    import latentry._generate._engine"),
    "upwards, in a function": ("_files/_formats.py", "def late():\n    from latentry import _cli\n"),
    "upwards, relative": ("_numerics/_grids/_time.py", "from ..._request._recipe import Recipe"),
    "sideways": ("_peers/_spelling.py", "from latentry._files import _formats"),
    "the top": ("_request/_recipe.py", "from latentry import Engine"),
}


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_import_is_found(plant: str, graph: Graph) -> None:
    file, line = PLANTS[plant]
    module = f"latentry.{file.removesuffix('.py').replace('/', '.')}"
    source = (CORE / file).read_text(encoding="utf-8") + f"\n{line}\n"
    planted = {**graph, module: imports_of(source, module, graph)}
    assert [fault.partition(" ")[0] for fault in faults(planted)] == [module]


@pytest.mark.parametrize(
    "line",
    ["from latentry._numerics._linear import combine", "def late():\n    from . import _linear"],
)
def test_a_planted_circle_is_found(line: str, graph: Graph) -> None:
    new, old = "latentry._numerics._planted", "latentry._numerics._linear"
    planted = {**graph, new: imports_of(line, new, graph)}
    assert circles(planted) == []
    source = (CORE / "_numerics" / "_linear.py").read_text(encoding="utf-8")
    source += f"\nif TYPE_CHECKING:\n    import {new}\n"
    assert circles({**planted, old: imports_of(source, old, planted)}) == [[old, new]]


@pytest.mark.slow
def test_a_planted_room_is_found_in_a_copy_of_the_core(tmp_path: Path) -> None:
    copy = shutil.copytree(CORE, tmp_path / "latentry")
    (copy / "_attic").mkdir()
    (copy / "_attic" / "__init__.py").write_text("from .._errors import LatentryError\n", encoding="utf-8")
    with (copy / "_peers" / "_names.py").open("a", encoding="utf-8") as stream:
        stream.write("\nfrom latentry._attic import LatentryError\n")
    found = ["latentry._attic imports latentry._errors", "latentry._peers._names imports latentry._attic"]
    assert faults(graph_of(copy)) == found
