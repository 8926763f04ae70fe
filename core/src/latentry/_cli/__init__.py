"""The command line. Importing this costs nothing; the commands are built when ``main`` is called.

May use everything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from latentry._errors import LatentryError

INTERRUPTED = 130
"""What a shell gives a command that Ctrl-C ended: 128 and SIGINT's number."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; what it refuses ends as one message and exit code 2, never as a traceback.
    Ctrl-C ends as one line and 130.
    """
    from latentry._cli._app import build_app
    from latentry._cli._host import take_plugin_dirs
    from latentry._cli._light import Cancelled

    try:
        plugin_dirs, rest = take_plugin_dirs(sys.argv[1:] if arguments is None else arguments)
        build_app()(args=rest, prog_name="latentry", obj=plugin_dirs)
    except LatentryError as error:
        if os.environ.get("LATENTRY_DEBUG"):
            raise
        lines = "\n".join(part for part in (error.what, error.why, error.remedy) if part).splitlines()
        print("error: " + "\n  ".join(lines), file=sys.stderr)
        return 2
    except (KeyboardInterrupt, Cancelled):
        print("latentry: cancelled", file=sys.stderr)
        return INTERRUPTED
    return 0
