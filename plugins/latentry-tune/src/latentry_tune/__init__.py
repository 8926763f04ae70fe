"""Plans tuned on the user's own model. ``command.py`` takes the arguments, ``model.py`` tunes for a request.

For a network of one's own, ``Problem`` and ``tune``; their result becomes a plan file by ``table``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import CommandSpec, hookimpl, lazy_exports

if TYPE_CHECKING:
    from latentry_tune._kept import Kept
    from latentry_tune._table import table
    from latentry_tune._tuning import Problem, Tuned, tune
else:
    __getattr__, __dir__ = lazy_exports(
        __name__, {"Kept": "_kept", "Problem": "_tuning", "Tuned": "_tuning", "table": "_table", "tune": "_tuning"}
    )

__all__ = ["Kept", "Problem", "Tuned", "table", "tune"]


@hookimpl
def latentry_commands() -> Iterable[CommandSpec]:
    """``latentry tune``."""
    yield CommandSpec(
        name="tune", target="latentry_tune.command:tune", summary="Fit a plan of few steps to a model and its guidance."
    )
