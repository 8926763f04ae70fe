"""ARCHITECTURE.md says what the code is: its files exist, its rooms have the files and lines of the table."""

from __future__ import annotations

import ast
import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *(ROOT / "docs").rglob("*.md")]
PAGE = PAGES[0].read_text(encoding="utf-8")
CELLS = ("room", "does", "files", "lines", "uses")
MADE = ("reference/", "images/errors", "images/variance")
"""What the site has that is made from the code; tests/docs/test_site.py follows links to it."""
MOST_FILES = 15
"""In one folder, ``__init__`` included: about a dozen is the aim."""


def script() -> ModuleType:
    """scripts/rooms.py."""
    spec = importlib.util.spec_from_file_location("rooms", ROOT / "scripts" / "rooms.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(table: str) -> list[dict[str, str]]:
    """The cells of a table, without its head."""
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    return [dict(zip(CELLS, line.strip("| ").split(" | "), strict=True)) for line in lines]


def test_the_table_of_rooms_is_that_of_the_code() -> None:
    """Lines may have moved by a tenth: ``python scripts/rooms.py --write`` brings them up to date."""
    rooms = script()
    page = rows(PAGE.split(rooms.BEGIN)[1].split(rooms.END)[0])
    code = rows(rooms.table())
    assert [{**row, "lines": ""} for row in page] == [{**row, "lines": ""} for row in code]
    for said, found in zip(page, code, strict=True):
        assert abs(int(said["lines"]) - int(found["lines"])) <= 5 + int(found["lines"]) // 10, said["room"]


def test_no_room_has_many_more_than_a_dozen_files() -> None:
    assert {room.name: room.files for room in script().rooms() if room.files > MOST_FILES} == {}


def test_one_generation_is_followed_through_ten_files_at_most() -> None:
    section = PAGE.split("## One generation")[1].split("\n## ")[0]
    steps = re.findall(r"^\d+\. \*\*\[`(.*?)`\]\((.*?)\)\*\*: `(\w+)(?:\.(\w+))?`", section, re.MULTILINE)
    assert 5 <= len(steps) == len(re.findall(r"^\d+\. ", section, re.MULTILINE)) <= 10
    for shown, path, name, method in steps:
        assert path == f"core/src/latentry/{shown}"
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        found = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        assert name in found, path
        assert not method or method in {getattr(node, "name", "") for node in ast.walk(found[name])}, path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_within_the_repository_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    lost = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert [link for link in lost if not link.startswith(MADE)] == []


def test_both_pages_list_every_public_module() -> None:
    faces = tomllib.loads((ROOT / "tests/architecture/rooms.toml").read_text(encoding="utf-8"))["public"]
    public = {f"latentry.{face}" for face in faces if face not in ("latentry", "__main__")} | {"latentry.testing"}
    for page in ("ARCHITECTURE.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert [name for name in sorted(public) if f"`{name}`" not in text] == [], page


def test_every_dependency_says_why_it_is_there() -> None:
    declared = tomllib.loads((ROOT / "core/pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.split(r"[<>=!~\[ ]", line)[0] for line in declared}
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("Every dependency says why")[2]
    reasons = text.partition("\n- ")[0]
    missing = [name for name in sorted(names) if not re.search(rf"\b{name}( and \w+)? \(|\b{name} and \w+ \(", reasons)]
    assert missing == []
