"""Draws the plots of docs/schedulers.md: error against evaluations, diffusers' own schedulers on the same axes.

    OMP_NUM_THREADS=1 python scripts/scheduler_plots.py [docs/images]

Needs matplotlib and diffusers.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from latentry import PluginHost, Prediction, VariancePreserving
from latentry.testing._measuring._cells import Drawn, Setting, geometric
from latentry.testing._networks._drawn import DrawnTargets
from latentry.testing.report import HELD_OUT, TARGETS

EVALUATIONS = (4, 5, 6, 8, 10, 12, 15, 20, 30, 40)
OURS = ("ddim", "unipc", "dpmpp-2m", "ipndm", "heun")
PLOTS: Mapping[str, Setting] = {
    "vp": Setting("vp", 0),
    "flow": Setting("flow", 0),
    "flow-3": Setting("flow", 0, 3.0),
    "edm": Setting("edm", 0),
}
PANELS = {"no guidance": (1.0,), "guided at 2 to 9": (2.0, 3.0, 5.0, 7.5, 9.0)}
SD15 = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def main() -> None:
    """Writes one SVG for each process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs/images"))
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    host = PluginHost()
    for name, place in PLOTS.items():
        draw(folder / f"schedulers-{name}.svg", host, place)


def draw(path: Path, host: PluginHost, place: Setting) -> None:
    """Two panels: without guidance, and guided at 2 to 9."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "latentry", "font.size": 8}
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True)
    for panel, (title, scales) in zip(
        panels, {"no guidance": (1.0,), "guided at 2 to 9": (2.0, 3.0, 5.0, 7.5, 9.0)}.items(), strict=True
    ):
        drawn = Drawn(host, HELD_OUT, TARGETS, guidance=scales)
        for name in OURS:
            points = {count: geometric(drawn.errors(name, place._replace(evaluations=count))) for count in EVALUATIONS}
            panel.plot(points.keys(), points.values(), marker=".", color="gray" if name == "ddim" else None, label=name)
        for name, run in peers(place).items():
            found = {count: peer_error(drawn, place, run, count) for count in EVALUATIONS}
            panel.plot(found.keys(), found.values(), linestyle="--", linewidth=1.0, label=f"diffusers: {name}")
        panel.set(xscale="log", yscale="log", title=title, xlabel="evaluations", ylim=(5e-4, 2.0))
        panel.set_xticks(EVALUATIONS[::2], [str(count) for count in EVALUATIONS[::2]])
        panel.minorticks_off()
    panels[0].set_ylabel("error, as a part of the signal")
    panels[0].legend(fontsize=6)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


Make = Callable[[], Any]


def peers(place: Setting) -> Mapping[str, Make]:
    """diffusers' schedulers under their default options on such a model, and on Karras's grid where it has one."""
    import diffusers as d

    if place.kind == "vp":
        return {
            "UniPC": lambda: d.UniPCMultistepScheduler(**SD15),
            "UniPC Karras": lambda: d.UniPCMultistepScheduler(**SD15, use_karras_sigmas=True),
            "DPM++ 2M Karras": lambda: d.DPMSolverMultistepScheduler(**SD15, use_karras_sigmas=True),
        }
    if place.kind == "flow":
        flow = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": place.shift}
        return {
            "UniPC": lambda: d.UniPCMultistepScheduler(**flow),
            "DPM++ 2M": lambda: d.DPMSolverMultistepScheduler(**flow),
        }
    return {"EDM DPM++ 2M": lambda: d.EDMDPMSolverMultistepScheduler(sigma_data=0.5)}


def peer_error(drawn: Drawn, place: Setting, make: Make, count: int) -> float:
    """The geometric mean over the targets."""
    return geometric(torch.cat([_peer_errors(group, place, make(), count) for group in drawn.groups]))


def _peer_errors(targets: DrawnTargets, place: Setting, peer: Any, count: int) -> torch.Tensor:
    """(targets,): the peer steps by itself; its network answers for the level that its own σ says."""
    from latentry.testing._networks._processes import process

    on = VariancePreserving.from_betas() if place.kind == "vp" else process(place.kind)
    peer.set_timesteps(count)
    x = targets.starts.flatten(0, 1) * (float(peer.init_noise_sigma) if place.kind != "flow" else 1.0)
    for i, timestep in enumerate(peer.timesteps):
        point = on.customary(float(peer.sigmas[i]))
        kind = {"vp": Prediction.EPSILON, "flow": Prediction.FLOW, "edm": Prediction.EDM}[place.kind]
        if hasattr(peer, "scale_model_input") and place.kind == "edm":
            peer.scale_model_input(x, timestep)
        x = peer.step(targets.output(x, point, kind), timestep, x).prev_sample.double()
    exact = targets.end(process(place.kind))
    size, miss = (each.reshape(len(targets.starts), -1).square().mean(-1).sqrt() for each in (exact, x - exact))
    return miss / size


if __name__ == "__main__":
    main()
