"""Which modules a package's modules import, read from the source: nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

Graph = Mapping[str, frozenset[str]]
"""For each module, the modules it names in an import: for types only and inside functions too."""


def graph_of(package: Path) -> Graph:
    """The imports of every module of a package, those of other packages included.

    Args:
        package: the folder of the package, named like it.
    """
    files = {_module(path, package): path for path in package.rglob("*.py")}
    return {
        module: imports_of(path.read_text(encoding="utf-8"), module, files.keys(), package=path.name == "__init__.py")
        for module, path in files.items()
    }


def imports_of(source: str, module: str, modules: Container[str], *, package: bool = False) -> frozenset[str]:
    """The modules that a source text imports.

    Args:
        source: of the module.
        module: its name.
        modules: names that are modules; other names that are imported from a module belong to that module.
        package: whether the module is a package's ``__init__``, which relative imports depend on.
    """
    names = {name for node in ast.walk(ast.parse(source)) for name in _named(node, module, package, modules)}
    return frozenset(names - {module})


def circles(graph: Graph) -> list[list[str]]:
    """The groups of modules that import each other round about (Tarjan's strongly connected components)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = lowest[module] = len(order)
        stack.append(module)
        for other in sorted(graph[module] & graph.keys()):
            if other not in order:
                visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in stack:
                lowest[module] = min(lowest[module], order[other])
        if lowest[module] == order[module]:
            start = stack.index(module)
            group = stack[start:]
            del stack[start:]
            if len(group) > 1:
                found.append(sorted(group))

    for module in sorted(graph):
        if module not in order:
            visit(module)
    return found


def _module(path: Path, package: Path) -> str:
    parts = [package.name, *path.relative_to(package).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _named(node: ast.AST, module: str, is_package: bool, modules: Container[str]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = _base(node, module, is_package)
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            yield inner if inner in modules else base


def _base(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, *([node.module] if node.module else [])])
