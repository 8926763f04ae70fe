"""Names that are imported on first use, so that importing a package costs nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_exports(module_name: str, exports: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Makes the ``__getattr__`` and ``__dir__`` of a module whose names live in other modules.

    A name is imported when it is first used and kept from then on; ``dir()`` lists every name without importing any::

        if TYPE_CHECKING:
            from mine.scheduler import Mine
        else:
            __getattr__, __dir__ = lazy_exports(__name__, {"Mine": "scheduler"})

    The ``else`` keeps ``__getattr__`` from type checkers, which would accept any name because of it.

    Args:
        module_name: the module's ``__name__``.
        exports: for each name, the module that defines it, relative to the package that ``module_name`` is or is in;
            an empty text where the name is itself a module of that package.
    """
    module = sys.modules[module_name]
    package = module_name if hasattr(module, "__path__") else module_name.rpartition(".")[0]

    def get(name: str) -> Any:
        if name not in exports:
            raise AttributeError(f"module {module_name!r} has no attribute {name!r}")
        home = exports[name]
        value = getattr(import_module(f"{package}.{home}"), name) if home else import_module(f"{package}.{name}")
        setattr(module, name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(module), *exports})

    return get, names
