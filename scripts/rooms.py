"""The table of the core's rooms in ARCHITECTURE.md: printed, or with ``--write`` put into the page.

What a room does comes from its docstring, what it may use from tests/architecture/rooms.toml.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "core" / "src" / "latentry"
PAGE = ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- rooms: python scripts/rooms.py --write -->\n", "<!-- end of rooms -->\n"


class Room(NamedTuple):
    """A folder or a single file of the core.

    Attributes:
        name: of the folder, or of the file without ``.py``.
        files: how many Python files are directly in it, ``__init__`` included.
        lines: of all of them.
        does: the first sentence of its docstring.
        uses: the rooms that it may import.
    """

    name: str
    files: int
    lines: int
    does: str
    uses: tuple[str, ...]


def rooms() -> list[Room]:
    """All rooms, the lowest first."""
    table = tomllib.loads((ROOT / "tests" / "architecture" / "rooms.toml").read_text(encoding="utf-8"))["rooms"]
    return [_room(path, tuple(uses)) for name, uses in table.items() for path in _paths(name)]


def _paths(name: str) -> list[Path]:
    """A room's file, or its folder and the folders inside it."""
    folder = CORE / name
    if not folder.is_dir():
        return [folder.with_suffix(".py")]
    return [folder, *sorted(inner.parent for inner in folder.rglob("__init__.py") if inner.parent != folder)]


def _room(path: Path, uses: tuple[str, ...]) -> Room:
    files = sorted(path.glob("*.py")) if path.is_dir() else [path]
    texts = [file.read_text(encoding="utf-8") for file in files]
    home = path / "__init__.py" if path.is_dir() else path
    name = path.relative_to(CORE).with_suffix("").as_posix()
    docstring = ast.get_docstring(ast.parse(home.read_text(encoding="utf-8"))) or ""
    sentence = " ".join(docstring.split("\n\n")[0].split()).partition(". ")[0].rstrip(".")
    return Room(name, len(files), sum(text.count("\n") for text in texts), sentence, uses)


def table() -> str:
    """The table as Markdown."""
    every = rooms()
    head = "| room | what it does | files | lines | may use |\n|---|---|---|---|---|\n"
    return head + "".join(
        f"| `{room.name}` | {room.does} | {room.files} | {room.lines} | {_uses(room, every)} |\n" for room in every
    )


def _uses(room: Room, every: list[Room]) -> str:
    outer = room.name.partition("/")[0]
    if outer != room.name:
        return f"as `{outer}`"
    below = [other.name for other in every[: every.index(room)] if "/" not in other.name]
    missing = [name for name in below if name not in room.uses]
    if len(room.uses) > len(missing) > 0 and len(room.uses) > 6:
        return "everything above but " + ", ".join(f"`{name}`" for name in missing)
    return ", ".join(f"`{name}`" for name in room.uses) or "nothing"


def written(page: str) -> str:
    """The page with the table of today."""
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: f"{BEGIN}{table()}{END}", page, flags=re.DOTALL)


def main() -> None:
    """Print the table, or write it."""
    if "--write" in sys.argv[1:]:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(table(), end="")


if __name__ == "__main__":
    main()
