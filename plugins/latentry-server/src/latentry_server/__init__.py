"""A server: ``latentry serve``. ``app.py`` puts it together, ``service.py`` holds the engine and its jobs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import CommandSpec, hookimpl, lazy_exports

if TYPE_CHECKING:
    from latentry_server.app import create_app
    from latentry_server.settings import Settings
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"Settings": "settings", "create_app": "app"})

__all__ = ["Settings", "create_app"]


@hookimpl
def latentry_commands() -> Iterable[CommandSpec]:
    """``latentry serve``."""
    yield CommandSpec(
        name="serve", target="latentry_server.command:serve", summary="Serve pictures over HTTP, with a page."
    )
