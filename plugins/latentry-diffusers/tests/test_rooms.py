"""Which rooms of latentry-diffusers import which, and that no module of the families is in a circle of imports."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[2]
PACKAGES = ("diffusers", "sd", "sdxl", "sd3", "flux", "flux2", "qwen-image", "z-image")
SOURCE = PLUGINS / "latentry-diffusers" / "src"
USES: Mapping[str, set[str]] = {
    "files": set(),
    "layouts": set(),
    "recognise": {"files"},
    "bundle": {"files", "layouts", "recognise"},
    "loading": {"files", "layouts", "bundle"},
    "text": {"files", "bundle"},
    "attention": set(),
    "lora": {"files", "layouts", "recognise", "bundle", "loading"},
    "model": {"files", "layouts", "recognise", "bundle", "loading", "text", "attention", "lora"},
    "conditioning": {"files", "layouts", "bundle", "loading", "attention", "model"},
    "convert": {"files", "layouts", "recognise", "bundle", "loading"},
}
"""What each room may use; their docstrings say so too."""


def modules(source: Path) -> dict[str, Path]:
    found = {}
    for file in source.rglob("*.py"):
        parts = file.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imported(file: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules among ``known`` that a file imports: at its top, in functions, for types."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else node.module for name in names if known.keys() & {name, node.module})
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """One circle; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_no_module_is_in_a_circle_of_imports_types_included() -> None:
    known = {name: file for package in PACKAGES for name, file in modules(PLUGINS / f"latentry-{package}/src").items()}
    assert len(known) > 100
    graph = {name: set(imported(file, known)) - {name} for name, file in known.items()}
    faces = {name for name in graph if "." not in name}  # they name what they export, for type checkers
    assert circle({name: uses - faces for name, uses in graph.items() if name not in faces}) == []
    graph["latentry_diffusers.files.weight_files"].add("latentry_diffusers.files.read")  # a planted circle is found
    assert "latentry_diffusers.files.weight_files" in circle(
        {name: uses - faces for name, uses in graph.items() if name not in faces}
    )


@pytest.mark.parametrize("room", USES)
def test_a_room_uses_only_the_rooms_it_may(room: str) -> None:
    known = modules(SOURCE)
    files = {name: file for name, file in known.items() if name.split(".")[1:2] == [room]}
    used = {
        target.split(".")[1] for file in files.values() for target in imported(file, known) if target.count(".") >= 1
    }
    assert used - {room, "_former_modules"} <= USES[room]
    folders = Counter(file.parent for file in files.values())
    assert max(folders.values()) <= 13, "a room has about a dozen files"


def test_every_folder_is_a_room() -> None:
    folders = {path.name for path in (SOURCE / "latentry_diffusers").iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders == set(USES)
    assert {path.name for path in (SOURCE / "latentry_diffusers").glob("*.py")} == {"__init__.py", "_former_modules.py"}
