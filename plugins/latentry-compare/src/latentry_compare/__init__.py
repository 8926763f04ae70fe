"""Schedulers and their settings, compared on the user's own model. ``command.py`` takes the arguments.

From Python: ``compare`` draws the combinations of ``Axes`` into a folder, and its ``Report`` becomes a page by
``html``. ``error_plot`` is the plot alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latentry import CommandSpec, hookimpl, lazy_exports

if TYPE_CHECKING:
    from latentry_compare._axes import Axes
    from latentry_compare._comparison import Comparison, compare
    from latentry_compare._page import html
    from latentry_compare._plot import error_plot
    from latentry_compare._reference import Reference
    from latentry_compare._report import Report, Row
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "Axes": "_axes",
            "Comparison": "_comparison",
            "Reference": "_reference",
            "Report": "_report",
            "Row": "_report",
            "compare": "_comparison",
            "error_plot": "_plot",
            "html": "_page",
        },
    )

__all__ = ["Axes", "Comparison", "Reference", "Report", "Row", "compare", "error_plot", "html"]


@hookimpl
def latentry_commands() -> Iterable[CommandSpec]:
    """``latentry compare``."""
    yield CommandSpec(
        name="compare",
        target="latentry_compare.command:compare",
        summary="Compare schedulers, sigma schedules, steps and guidance on a model.",
    )
