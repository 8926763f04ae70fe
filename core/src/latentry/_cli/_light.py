"""Commands that parse their flags without pydantic.

Typer converts values with pydantic, flags excepted, and takes ``--help`` for a value as long as its default is None:
42 modules for each ``latentry schedulers``.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


class Cancelled(Exception):
    """Ctrl-C under another name: typer would end the process without a word."""


class LightCommand(TyperCommand):
    """A command whose ``--help`` is off by default rather than unset."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Cancelled from error

    def get_help_option(self, ctx: Any) -> Any:
        return _off_by_default(super().get_help_option(ctx))


class NamesCommand(LightCommand):
    """A command that takes names, in ``context.args``: declared arguments would be converted, if only to None."""

    allow_extra_args = True

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[NAME]..."]


class LightGroup(TyperGroup):
    """A group whose ``--help`` is off by default rather than unset."""

    def get_help_option(self, ctx: Any) -> Any:
        return _off_by_default(super().get_help_option(ctx))


def _off_by_default(option: Any) -> Any:
    if option is not None:
        option.default = False
    return option
