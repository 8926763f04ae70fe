"""The console script. Not in the package, so that Ctrl-C is handled before the package is imported."""

from __future__ import annotations

import gc
import sys


def main() -> int:
    """Run the command line and return its exit code."""
    try:
        from latentry._cli import main as run

        return run()
    except KeyboardInterrupt:
        print("latentry: cancelled", file=sys.stderr)
        return 130
    finally:
        gc.freeze()  # the process ends: a last collection of all that torch and others made takes up to a second
