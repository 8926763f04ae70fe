"""Draws the plots of docs/schedulers.md: error against evaluations, diffusers' own schedulers on the same axes.

    OMP_NUM_THREADS=1 python scripts/scheduler_plots [docs/images] [--only vp,networks]

Needs matplotlib, diffusers, and the shipped models for the last plot; ten minutes on one idle thread.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch
from curves import NETWORKS, OURS, PEERS, Curves, on_network, on_targets

from latentry import Engine, PluginHost
from latentry.testing._measuring._cells import Setting

PLACES: Mapping[str, Setting] = {
    "vp": Setting("vp", 0),
    "flow": Setting("flow", 0),
    "flow-3": Setting("flow", 0, 3.0),
    "edm": Setting("edm", 0),
}
SCALES = {"no guidance": (1.0,), "guided at 2 to 9": (2.0, 3.0, 5.0, 7.5, 9.0)}
"""Guidance of the targets in each panel."""
TICKS = (4, 6, 10, 20, 40)


def main() -> None:
    """Writes one SVG for each process, and one for the shipped networks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs/images"))
    parser.add_argument("--only", help=f"some of {', '.join((*PLACES, 'networks'))}, separated by commas")
    given = parser.parse_args()
    torch.set_num_threads(1)
    wanted, host = given.only.split(",") if given.only else [*PLACES, "networks"], PluginHost()
    for name in wanted:
        print(f"measuring {name}", flush=True)
        if name == "networks":
            panels = {title: on_network(Engine(host), *where) for title, where in NETWORKS.items()}
            what = "distance from the exact latents"
        else:
            panels = {title: on_targets(host, PLACES[name], scales) for title, scales in SCALES.items()}
            what = "error, as a part of the signal"
        draw(given.folder / f"schedulers-{name}.svg", panels, what)


def draw(path: Path, panels: Mapping[str, Curves], what: str) -> None:
    """Panels in rows of two."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "latentry", "svg.fonttype": "none", "font.size": 8}
    import matplotlib.pyplot as plt

    rows = -(-len(panels) // 2)
    figure, places = plt.subplots(rows, 2, figsize=(8, 3.2 * rows), sharey=True, squeeze=False)
    for place, (title, curves) in zip(places.flat, panels.items(), strict=True):
        for label, points in curves.items():
            place.plot(points.keys(), points.values(), label=label, **_style(label))
        place.set(xscale="log", yscale="log", title=title, xlabel="evaluations")
        place.set_xticks(TICKS, [str(count) for count in TICKS])
        place.minorticks_off()
    for row in places:
        row[0].set_ylabel(what)
    places[0][0].legend(fontsize=6)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _style(label: str) -> dict[str, object]:
    if label in OURS:
        colour = "gray" if label == "ddim" else f"C{OURS.index(label) - 1}"
        return {"marker": ".", "color": colour}
    return {"linestyle": "--", "linewidth": 1.0, "color": ("C4", "C5", "black")[PEERS.index(label)]}


if __name__ == "__main__":
    main()
