"""Running a command, and the one message that a failure ends in."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

import click

from latentry._cli._app import app
from latentry._cli._global_options import GlobalOptions, begin_log, completion_asked, take_global_options
from latentry._cli._printing._messages import message
from latentry._cli._printing._streams import abandon_output, flush_output, prepare_streams, print_error, print_message
from latentry._cli._settings._file import read_config
from latentry._errors import LatentryError

REFUSED = 2
FAILED = 1


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    prepare_streams()
    if (instruction := completion_asked()) is not None:
        from latentry._cli._completion import complete

        return complete(instruction)
    options = GlobalOptions()
    try:
        options, rest = take_global_options(arguments)
        begin_log(options.log_level)
        code = _invoke(options, rest or ["--help"])
        flush_output()
        return code
    except BrokenPipeError:  # the reader has what it wanted, as in `latentry schedulers | head`
        abandon_output()
        return FAILED
    except click.Abort as error:
        raise KeyboardInterrupt from error
    except Exception as error:
        if options.debug:
            print_error("".join(traceback.format_exception(error)))
        print_message(message(error))
        _flush_or_abandon()
        return REFUSED if isinstance(error, (LatentryError, click.ClickException)) else FAILED


def _invoke(options: GlobalOptions, arguments: list[str]) -> int:
    try:
        with app.make_context("latentry", arguments, obj=options, default_map=dict(read_config())) as context:
            app.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    return 0


def _flush_or_abandon() -> None:
    try:
        flush_output()
    except OSError:
        abandon_output()
