"""The command that writes projects for plugins. ``command.py`` takes the arguments, ``project.py`` writes the files."""

from __future__ import annotations

from collections.abc import Iterable

from latentry import CommandSpec, hookimpl


@hookimpl
def latentry_commands() -> Iterable[CommandSpec]:
    """``latentry new``."""
    yield CommandSpec(name="new", target="latentry_dev.command:new", summary="Write a project for a plugin.")
