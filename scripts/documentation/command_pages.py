"""One page a command of ``latentry``, from what its ``--help`` prints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from documentation.markdown import escaped, table
from latentry._cli._app import app
from latentry._cli._global_options import GlobalOptions


class Collector(click.HelpFormatter):
    """Takes in what a command would print as help: sections of options, and what each does."""

    def __init__(self) -> None:
        super().__init__()
        self.sections: dict[str, list[tuple[str, str]]] = {}
        self.heading = ""

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        self.heading = name
        yield

    def write_dl(self, rows: Any, *args: Any, **kwargs: Any) -> None:
        self.sections.setdefault(self.heading, []).extend(rows)


def command_pages() -> dict[str, str]:
    """All of them, by path, and an index."""
    context = click.Context(app, info_name="latentry", obj=GlobalOptions())
    pages, rows = {}, []
    for name in app.list_commands(context):
        command = app.get_command(context, name)
        assert command is not None
        pages[f"reference/commands/{name}.md"] = _page(command, click.Context(command, context, name))
        rows.append((f"[`latentry {name}`]({name}.md)", command.get_short_help_str(200)))
    index = (
        "# Commands\n\n`--plugin-dir PATH`, with every command, loads a `.py` file or a folder as a plugin, and "
        "`--debug` prints\nthe traceback of an error. Exit codes: 0 it is done, 1 a check failed, 2 it cannot be "
        "done as asked, 130 stopped\nwith Ctrl-C.\n\n"
    )
    return {"reference/commands/index.md": index + table(("command", "what it does"), rows), **pages}


def _page(command: click.Command, context: click.Context) -> str:
    collector = Collector()
    command.format_options(context, collector)
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    text = f"# `{context.command_path}`\n\n{command.get_short_help_str(1000)}\n\n```text\n{usage}\n```\n"
    for heading, rows in collector.sections.items():
        cells = [(f"`{' '.join(option.split())}`", escaped(" ".join(meaning.split()))) for option, meaning in rows]
        text += f"\n## {heading}\n\n" + table(("option", "what it does"), cells)
    return text
