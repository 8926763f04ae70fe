"""The command line: one file a command in ``_commands``, and around them what they share.

Importing this costs nothing; a command is imported when it is run or listed.

May use everything but ``_capture`` and ``_bases``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

INTERRUPTED = 130
"""What a shell reports of a command that Ctrl-C ended: 128 + SIGINT."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    What was asked wrongly ends as one message and exit code 2, Ctrl-C as one line and 130. A traceback is printed
    with ``--debug`` or ``LATENTRY_DEBUG`` only.
    """
    try:
        from latentry._cli._run import run

        return run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        print("latentry: cancelled", file=sys.stderr)
        return INTERRUPTED
