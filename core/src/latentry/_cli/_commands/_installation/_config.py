"""``latentry config``: the defaults of one's own, and where each came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from latentry._cli._common_options import json_option
from latentry._cli._field_options import FieldOption
from latentry._cli._printing._output import Column, print_json, print_records, say
from latentry._cli._settings._file import VARIABLE, check_table, config_file
from latentry._cli._settings._settable import GENERATE, origin, variable
from latentry._errors import OptionError

ABOUT = """# Your own defaults: a table for each command, and in it options without dashes in front.
# What is typed comes first, then LATENTRY_NAME (e.g. LATENTRY_STEPS=20), then this file.

[generate]
"""


@click.command()
@click.option("--show", is_flag=True, help="Print every setting, its value, and where that came from (the default).")
@click.option("--path", is_flag=True, help="Print where the configuration file is, or would be.")
@click.option("--init", is_flag=True, help="Write a file that names every setting, each commented out.")
@json_option
@click.pass_context
def config(context: click.Context, show: bool, path: bool, init: bool, as_json: bool) -> None:
    """Show your own defaults, or begin a file of them.

    They are options of `generate` in a TOML file, or variables such as LATENTRY_SCHEDULER. LATENTRY_CONFIG names
    another file; empty, none is read.
    """
    if show + path + init > 1:
        raise OptionError("Only one of --show, --path and --init can be given.")
    if path:
        say(str(_file()))
    elif init:
        _begin(_file())
    else:
        _show(context, as_json=as_json)


def _file() -> Path:
    if (path := config_file()) is None:
        raise OptionError(f"{VARIABLE} is empty, so no file is read.", remedy="Unset it, or let it name a file.")
    return path


def _rows(context: click.Context) -> list[dict[str, Any]]:
    generate = _generate(context)
    rows = []
    for option in generate.command.get_params(generate):
        if isinstance(option, click.Option) and option.name in GENERATE:
            value = generate.params[option.name]
            source = origin(generate, option)
            rows.append(
                {
                    "setting": option.name,
                    "value": value if source else option.unset if isinstance(option, FieldOption) else value,
                    "from": source or "default",
                    "variable": variable(option.name),
                }
            )
    return rows


def _generate(context: click.Context) -> click.Context:
    """``generate`` without arguments, so that what is set by other means shows."""
    assert context.parent is not None
    command = context.parent.command
    assert isinstance(command, click.Group)
    generate = command.get_command(context.parent, "generate")
    assert generate is not None
    check_table("generate", ((context.parent or context).default_map or {}).get("generate", {}), GENERATE)
    return generate.make_context("generate", [], parent=context.parent)


def _show(context: click.Context, *, as_json: bool) -> None:
    rows, path = _rows(context), config_file()
    if as_json:
        print_json({"file": None if path is None else str(path), "settings": rows})
        return
    say("No file is read." if path is None else f"{path}{'' if path.exists() else ' (not there)'}\n")
    columns = (
        Column("setting", lambda row: row["setting"]),
        Column("value", lambda row: _as_written(row["value"]), cut=True),
        Column("from", lambda row: row["from"]),
        Column("variable", lambda row: row["variable"], rank=1),
    )
    print_records(columns, rows)


def _as_written(value: object) -> str:
    """A value as the file has it, but text without quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _begin(path: Path) -> None:
    if path.exists():
        raise OptionError(f"{path} exists.", remedy="Edit it, or move it away first.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(ABOUT + "".join(f"# {name} =\n" for name in sorted(GENERATE)), encoding="utf-8")
    say(str(path))
