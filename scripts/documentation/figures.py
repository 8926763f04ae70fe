"""Plots of the schedulers' errors, from the tables of ``docs/schedulers.md``, as SVG.

The text is gray and the ground transparent, so that they read on light and dark pages.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence

from documentation.repository import ROOT

TITLES = {"vp": "Variance preserving", "flow": "Rectified flow", "edm": "EDM"}
"""Sections of the page, by noise process."""
SHOWN = ("ddim", "euler", "heun", "dpm2", "dpmpp-2m", "lms", "pndm", "deis", "unipc")
"""Deterministic schedulers that people know, for a plot that can be read."""
MARKERS = "osD^vPX"
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
Curve = Mapping[int, float]


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
    """A plot of error against evaluations, both logarithmic."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, StrMethodFormatter

    gray = "#808080"
    style = {"svg.fonttype": "none", "svg.hashsalt": "latentry", "font.family": "sans-serif", "text.color": gray}
    style |= dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), gray)
    curves = {name: curve for name, curve in measured(process, quantity).items() if not names or name in names}
    with mpl.rc_context(style):
        figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
        colours = pyplot.get_cmap("turbo")
        order = sorted(curves, key=lambda name: curves[name].get(10, 0))
        for place, name in enumerate(order):
            colour = colours(0.08 + 0.84 * place / max(1, len(order) - 1))
            points = zip(*curves[name].items(), strict=True)
            axes.plot(*points, marker=MARKERS[place % len(MARKERS)], markersize=4, color=colour, label=name)
        axes.set(xscale="log", yscale="log", xlabel="evaluations of the network", ylabel=quantity.lower())
        axes.xaxis.set_major_locator(FixedLocator(sorted({count for curve in curves.values() for count in curve})))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
        pyplot.close(figure)
    return out.getvalue()


def figures() -> dict[str, str]:
    """All plots, by path below ``docs``."""
    return {path: errors(*what) for path, what in PLOTS.items()}
