"""Loose plugins: a file or a folder that nobody packaged."""

from __future__ import annotations

import importlib.util
import re
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

from latentry._discovery._loading._sources import Provenance, Source
from latentry._errors import PluginError

PREFIX = "_latentry_loose_"
"""How the module of a loose plugin is called."""


def loose_sources(path: Path) -> list[Source]:
    """The plugins at a path: a ``.py`` file, a package folder, or a folder of such files and packages."""
    if _is_plugin(path):
        return [_source(path)]
    if not path.is_dir():
        raise PluginError(
            f"{path} is not a plugin.",
            why="It is not a .py file." if path.exists() else "There is no such file or folder.",
            remedy="Give a .py file, a package folder, or a folder of them.",
        )
    found = [_source(entry) for entry in sorted(path.iterdir()) if _is_plugin(entry)]
    if not found:
        raise PluginError(f"{path} contains no plugin.", remedy="Put a .py file or a package folder into it.")
    return found


def _is_plugin(path: Path) -> bool:
    if path.name.startswith((".", "_")):
        return False
    return (path / "__init__.py").is_file() if path.is_dir() else path.is_file() and path.suffix == ".py"


def _source(path: Path) -> Source:
    import secrets  # on use: it imports OpenSSL

    path = path.resolve()
    # Another name on each load: two hosts share no module, and an edited file is read again.
    module = f"{PREFIX}{re.sub(r'[^0-9A-Za-z]', '_', path.stem)}_{secrets.token_hex(4)}"
    prefix = re.sub(r"[^0-9a-z]+", "-", path.stem.lower()).strip("-") or "loose"
    owner = Provenance(path.stem, str(path), "")
    return Source(owner, prefix, partial(_load, path, module), path=path, module=module)


def _load(path: Path, name: str) -> ModuleType:
    """Import without touching ``sys.path``; a failed import leaves nothing behind."""
    folder = path.is_dir()
    spec = importlib.util.spec_from_file_location(
        name,
        path / "__init__.py" if folder else path,
        submodule_search_locations=[str(path)] if folder else None,
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no loader for {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # relative imports and lazy targets look it up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        for loaded in [key for key in sys.modules if key == name or key.startswith(f"{name}.")]:
            del sys.modules[loaded]
        raise
    return module
