"""Plots of the schedulers' errors, from the tables of ``docs/schedulers.md``, as SVG.

They are drawn as ``latentry compare`` draws its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from documentation.repository import ROOT
from latentry_compare import error_plot

TITLES = {"vp": "Variance preserving", "flow": "Rectified flow", "edm": "EDM"}
"""Sections of the page, by noise process."""
SHOWN = ("ddim", "euler", "heun", "dpm2", "dpmpp-2m", "lms", "pndm", "deis", "unipc")
"""Deterministic schedulers that people know, for a plot that can be read."""
PATH, IMAGES, VARIANCE = (
    "Error of the path, mixture",
    "Error of the path, spectrum of images",
    "Error of the variance, Gaussians",
)
PLOTS: dict[str, tuple[str, str, Sequence[str]]] = {
    "images/errors.svg": ("vp", PATH, SHOWN),
    **{f"images/errors-{process}.svg": (process, PATH, ()) for process in TITLES},
    **{f"images/errors-{process}-images.svg": (process, IMAGES, ()) for process in TITLES},
    **{f"images/variance-{process}.svg": (process, VARIANCE, ()) for process in TITLES},
}
"""Process, table and schedulers (all, if none is named) of each plot, by path below ``docs``."""
Curve = Mapping[float, float]


def measured(process: str, quantity: str) -> dict[str, Curve]:
    """Errors by evaluations of each scheduler.

    Args:
        process: ``vp``, ``flow`` or ``edm``.
        quantity: how the table is called, e.g. ``Error of the path, mixture``.
    """
    page = (ROOT / "docs" / "schedulers.md").read_text(encoding="utf-8")
    section = page.split(f"\n## {TITLES[process]}\n", 1)[1].split("\n## ", 1)[0]
    rows = section.split(f"{quantity}\n\n", 1)[1].split("\n\n", 1)[0].splitlines()
    counts = [int(count) for count in re.findall(r"(\d+) evaluations", rows[0])]
    found: dict[str, Curve] = {}
    for row in rows[2:]:
        name, *cells = (cell.strip() for cell in row.strip("|").split("|"))
        values = [re.match(r"\d[\d.e-]*", cell) for cell in cells]
        found[name] = {count: float(value[0]) for count, value in zip(counts, values, strict=True) if value}
    return found


def errors(process: str, quantity: str, names: Sequence[str] = ()) -> str:
    """A plot of error against evaluations, both logarithmic; the best at ten evaluations first."""
    curves = {name: curve for name, curve in measured(process, quantity).items() if not names or name in names}
    order = sorted(curves, key=lambda name: curves[name].get(10, 0))
    return error_plot({"": {name: curves[name] for name in order}}, ylabel=quantity.lower())


def figures() -> dict[str, str]:
    """All plots, by path below ``docs``."""
    return {path: errors(*what) for path, what in PLOTS.items()}
