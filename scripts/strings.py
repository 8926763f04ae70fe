"""Every string of the repository that a person can read, one a line: kind, place and text.

Kinds: ``message`` (string literals of several words in the packages' code: messages, help, summaries), ``docstring``
(of modules, classes, functions, and below attributes), ``test`` (names of tests), ``page`` (paragraphs of Markdown
files, code blocks left out). ``python scripts/strings.py docstring test`` lists only those kinds.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("message", "docstring", "test", "page")
NOT_OURS = ("LICENSE", "/models/")
"""The licence, and files that come with models."""


class Text(NamedTuple):
    """One string.

    Attributes:
        kind: see above.
        path: below the repository.
        line: where it begins.
        text: on one line; what an f-string fills in is ``{…}``.
    """

    kind: str
    path: str
    line: int
    text: str


def texts(root: Path = ROOT) -> Iterator[Text]:
    """All of them, file by file."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py", "*.md"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    for path in sorted(set(listed.stdout.splitlines())):
        if (root / path).is_file() and not any(part in path for part in NOT_OURS):
            source = (root / path).read_text(encoding="utf-8")
            yield from _python(path, source) if path.endswith(".py") else _markdown(path, source)


def _python(path: str, source: str) -> Iterator[Text]:
    tree = ast.parse(source)
    docstrings = {id(node): node for node in _docstrings(tree)}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    tests = "/tests/" in f"/{path}"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield Text("test", path, node.lineno, node.name.replace("_", " "))
        text = _text(node)
        if text is None or id(node) in inside:
            continue
        if id(node) in docstrings:
            yield Text("docstring", path, node.lineno, text)
        elif not tests and text.count(" ") >= 2:
            yield Text("message", path, node.lineno, text)


def _docstrings(tree: ast.AST) -> Iterator[ast.AST]:
    """String expressions that are statements."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return " ".join(node.value.split())
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "{…}" for part in node.values]
        return " ".join("".join(map(str, parts)).split())
    return None


def _markdown(path: str, source: str) -> Iterator[Text]:
    bare = re.sub(r"^```.*?^```", lambda code: "\n" * code[0].count("\n"), source, flags=re.MULTILINE | re.DOTALL)
    line = 1
    for paragraph in re.split(r"(\n\s*\n)", bare):
        if words := " ".join(paragraph.split()):
            yield Text("page", path, line, words)
        line += paragraph.count("\n")


def main() -> None:
    """Print them."""
    kinds = sys.argv[1:] or KINDS
    for found in texts():
        if found.kind in kinds:
            print(f"{found.kind}\t{found.path}:{found.line}\t{found.text}")


if __name__ == "__main__":
    main()
