"""Error against evaluations of the network, as SVG that reads on light and dark ground."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel

Curve = Mapping[float, float]
"""An error for each number of evaluations."""
GRAY = "#808080"
"""Of all text and lines that are not curves: it reads on both grounds, and pages can replace it."""
COLOURS = ("#2f7fd1", "#e0700a", "#1f9d63", "#d3455f", "#8d6bd0", "#a0734c", "#d45ca5", "#1499ad", "#7f8f14", "#777777")
MARKERS = "osD^vPX"
FEW = 10
"""Curves whose names have room below the plot, which then is narrow enough for a phone."""
DECADES = 3.0
"""Of errors, up to which 2 and 5 have their own ticks beside 1."""
APART = 1.18
"""Factor between neighbouring numbers of evaluations that both have room on the axis."""


def error_plot(
    panels: Mapping[str, Mapping[str, Curve]],
    *,
    ylabel: str,
    floors: Mapping[str, float] | None = None,
    size: tuple[float, float] = (8.0, 5.0),
) -> str:
    """A plot with both axes logarithmic, and the curves' names below or beside it.

    Args:
        panels: the curves of each panel by name, the panels by title; an empty title is not written.
        ylabel: what the error is.
        floors: for a panel, the error below which none is meaningful.
        size: of the figure in inches.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    style = {"svg.fonttype": "none", "svg.hashsalt": "latentry", "font.family": "sans-serif", "text.color": GRAY}
    style |= dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "axes.titlecolor"), GRAY)
    with mpl.rc_context(style):
        figure = Figure(figsize=size, layout="constrained")
        drawn = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
        looks = dict(zip(names, _looks(len(names)), strict=True))
        for panel, (title, curves) in zip(drawn, panels.items(), strict=True):
            _draw(panel, curves, looks, (floors or {}).get(title))
            panel.set(title=title, ylabel=ylabel)
        drawn[-1].set_xlabel("evaluations of the network")
        _ticks(drawn[-1], (count for curves in panels.values() for curve in curves.values() for count in curve))
        handles = {line.get_label(): line for panel in drawn for line in panel.get_lines()}
        where = {"loc": "outside lower center", "ncols": 2} if len(names) <= FEW else {"loc": "outside right upper"}
        figure.legend([handles[name] for name in names], names, frameon=False, **where)
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return out.getvalue()


def _draw(panel: Panel, curves: Mapping[str, Curve], looks: Mapping[str, Any], floor: float | None) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    for name, curve in curves.items():
        points = sorted(curve.items())
        panel.plot(*zip(*points, strict=True), markersize=5, label=name, **looks[name])
    panel.set(xscale="log", yscale="log")
    if floor is not None:
        panel.axhline(floor, color=GRAY, linewidth=1.0, linestyle=":", label="_floor")
    low, high = panel.get_ylim()
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if math.log10(high / low) < DECADES else (1,)))
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    panel.grid(alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)


def _looks(count: int) -> Sequence[Mapping[str, Any]]:
    """How each of so many curves is drawn. Where there are more than colours, neighbours have similar ones."""
    from matplotlib import colormaps

    turbo = colormaps["turbo"]
    few = count <= len(COLOURS)
    colours: Sequence[Any] = COLOURS if few else [turbo(0.08 + 0.84 * i / (count - 1)) for i in range(count)]
    return [{"color": colours[i], "marker": MARKERS[i % len(MARKERS)]} for i in range(count)]


def _ticks(panel: Panel, counts: Iterable[float]) -> None:
    """A tick at each number of evaluations that has room, those of most curves first."""
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    places: list[float] = []
    for count, _ in Counter(counts).most_common():
        if all(abs(math.log(count / place)) >= math.log(APART) for place in places):
            places.append(count)
    panel.xaxis.set_major_locator(FixedLocator(sorted(places)))
    panel.xaxis.set_major_formatter(StrMethodFormatter("{x:.0f}"))
    panel.xaxis.set_minor_locator(NullLocator())
