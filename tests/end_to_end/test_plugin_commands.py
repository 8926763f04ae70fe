"""Commands that plugins bring to the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.commandline import fresh

from latentry._cli._app import COMMANDS
from latentry._discovery._kinds import CORE_COMMANDS

PLUGIN = """
from latentry import CommandSpec, hookimpl


@hookimpl
def latentry_commands():
    for name in ("tell", "fail", "refuse", "leave", "interrupt", "usage"):
        yield CommandSpec(name=name, target=f"spoken.code:{name}", summary=f"To {name}.")
    yield CommandSpec(name="absent", target="commands_nowhere:absent", summary="To be absent.")
    yield CommandSpec(name="number", target="spoken.code:number", summary="To be a number.")
"""
CODE = """
import sys
import click
from latentry import OptionError

print("imported", file=sys.stderr)
number = 3

@click.command()
@click.option("--loudly", is_flag=True)
@click.pass_obj
def tell(host, loudly):
    click.echo(f"{type(host).__name__} {'ddim' in host.schedulers} {loudly}")

@click.command()
def fail():
    raise RuntimeError("no luck")

@click.command()
def refuse():
    raise OptionError("Not like this.", remedy="Do it otherwise.")

@click.command()
@click.pass_context
def leave(context):
    context.exit(1)

@click.command()
def interrupt():
    raise KeyboardInterrupt

@click.command()
@click.argument("thing")
def usage(thing):
    raise click.UsageError("not that thing")
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A folder with a plugin of several commands."""
    folder = tmp_path / "spoken"
    folder.mkdir()
    (folder / "__init__.py").write_text(PLUGIN)
    (folder / "code.py").write_text(CODE)
    return folder


def test_help_lists_them_without_importing_them(plugin: Path, tmp_path: Path) -> None:
    done = fresh("--help", "--plugin-dir", plugin, folder=tmp_path)
    assert done.code == 0
    assert "  tell          To tell.\n" in done.out
    assert done.out.index("  plugins  ") < done.out.index("  tell  ")
    assert "imported" not in done.err
    assert "To tell." not in fresh("--help", folder=tmp_path).out


def test_one_runs_with_its_options_and_the_host(plugin: Path, tmp_path: Path) -> None:
    done = fresh("tell", "--loudly", "--plugin-dir", plugin, folder=tmp_path)
    assert (done.code, done.out) == (0, "PluginHost True True\n")
    help_ = fresh("tell", "--help", "--plugin-dir", plugin, folder=tmp_path)
    assert help_.code == 0
    assert "--loudly" in help_.out


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["fail"], 2, ["The command 'fail' of", "RuntimeError: no luck", "code.py", "in fail"]),
        (["refuse"], 2, ["error: Not like this.\n  Do it otherwise.\n"]),
        (["leave"], 1, []),
        (["interrupt"], 130, ["latentry: cancelled\n"]),
        (["usage", "x"], 2, ["error: not that thing\n  `latentry usage --help`"]),
        (["usage"], 2, ["Missing argument", "THING"]),
        (["tell", "--softly"], 2, ["--softly"]),
        (["absent"], 2, ["the command 'absent' cannot be loaded", "commands_nowhere"]),
        (["number"], 2, ["The target of the command 'number' is not a click.Command.\n  Its type is int."]),
    ],
)
def test_how_one_ends(plugin: Path, tmp_path: Path, command: list[str], code: int, words: list[str]) -> None:
    done = fresh(*command, "--plugin-dir", plugin, folder=tmp_path)
    assert done.code == code
    assert done.out == ""
    assert "Traceback" not in done.err
    assert [word for word in words if word not in done.err] == [], done.err
    assert done.err.count("error: ") == (code == 2)


def test_debug_shows_where_one_failed(plugin: Path, tmp_path: Path) -> None:
    done = fresh("fail", "--debug", "--plugin-dir", plugin, folder=tmp_path)
    assert done.code == 2
    assert "Traceback" in done.err
    assert 'raise RuntimeError("no luck")' in done.err


def test_an_unknown_command_names_the_nearest(plugin: Path, tmp_path: Path) -> None:
    done = fresh("tel", "--plugin-dir", plugin, folder=tmp_path)
    assert done.code == 2
    assert "There is no command 'tel'. Did you mean tell?" in done.err


def test_the_reserved_names_are_those_of_the_core() -> None:
    assert set(COMMANDS) == CORE_COMMANDS
