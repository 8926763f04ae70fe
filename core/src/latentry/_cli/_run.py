"""Running a command, and the one message that a failure ends in."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

import click

from latentry._cli._app import app
from latentry._cli._global_options import GlobalOptions, take_global_options
from latentry._cli._messages import message
from latentry._errors import LatentryError

REFUSED = 2
FAILED = 1


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    options = GlobalOptions()
    try:
        options, rest = take_global_options(arguments)
        rest = rest or ["--help"]
        with app.make_context("latentry", rest, obj=options) as context:
            app.invoke(context)
    except click.exceptions.Exit as end:
        return end.exit_code
    except (LatentryError, click.ClickException) as error:
        return _report(error, options, REFUSED)
    except Exception as error:
        return _report(error, options, FAILED)
    return 0


def _report(error: Exception, options: GlobalOptions, code: int) -> int:
    if options.debug:
        traceback.print_exception(error)
    print(message(error), file=sys.stderr)
    return code
