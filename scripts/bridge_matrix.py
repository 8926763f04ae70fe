"""Which scheduler works where in other programs: printed, or with ``--write`` put into ``docs/bridge-matrix.md``.

Each cell is tried: the bridge makes the scheduler and runs it, or refuses it with a reason.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler

from latentry import EDM, LatentryError, PluginHost
from latentry.testing import GaussianOracle
from latentry_bridge_diffusers import scheduler
from latentry_bridge_k_diffusion import sampler

PAGE = Path(__file__).resolve().parents[1] / "docs" / "bridge-matrix.md"
VP = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False)
FLOW = FlowMatchEulerDiscreteScheduler(shift=3.0)
LEVELS = torch.tensor([14.6, 4.0, 1.0, 0.3, 0.0])
STEPS, LATE = 6, (1, 2, 4)
HEAD = """# Schedulers in other programs

<!-- python scripts/bridge_matrix.py --write -->
Each cell was tried; a number is the reason of a refusal, below. In diffusers' pipelines, t is text to image, i is image
to image at several strengths, and b is inpainting by blending, where the network is not shown the mask; ControlNet
pipelines, modular ones and serving engines have the same loops. In ComfyUI and the web UI the model itself blends. The
k-diffusion column is a batch of two; ComfyUI takes the same, and gives CFG++ the unguided answer.

| scheduler | SD, SDXL: t | i | b | SD3: t | i | b | FLUX: t | i | b | k-diffusion | ComfyUI | web UI |
|---|---|---|---|---|---|---|---|---|---|---|---|---|
"""


def pipeline(stock: Any, task: str, *, tokens: int = 1) -> Any:
    """As much of a pipeline as the bridge looks at; inpainting has a network of the latents' channels alone."""
    network = SimpleNamespace(config=SimpleNamespace(in_channels=4 * tokens))
    vae = SimpleNamespace(config=SimpleNamespace(latent_channels=4))
    return type(f"{task}Pipeline", (), {"scheduler": stock, "unet": network, "vae": vae})()


def run(made: Any, begins: Sequence[int], *, sigmas: bool, blends: bool = False) -> None:
    """Runs of a pipeline's loop from some of its entries on."""
    for begin in begins:
        if sigmas:
            made.set_timesteps(sigmas=np.linspace(1.0, 1.0 / STEPS, STEPS))
        else:
            made.set_timesteps(STEPS)
        cut = made.timesteps[begin * made.order :]
        made.set_begin_index(begin * made.order)
        x = torch.zeros(1, 4, 2, 2)
        x = made.add_noise(x, x, cut[:1])
        for timestep in cut:
            x = made.step(x, timestep, x, return_dict=False)[0]
            x = x.clone() if blends else x


def in_pipelines(name: str, stock: Any, *, tokens: int = 1, sigmas: bool = False) -> Iterator[Callable[[], None]]:
    """The three loops of a family."""
    made = cache(lambda: scheduler(name, pipeline(stock, "Img2Img")))
    blending = pipeline(stock, "Inpaint", tokens=tokens)
    yield lambda: run(made(), (0,), sigmas=sigmas)
    yield lambda: run(made(), LATE, sigmas=sigmas)
    yield lambda: run(scheduler(name, blending), (0, *LATE), sigmas=sigmas, blends=True)


def called(name: str, *, unguided: bool) -> None:
    """A call of k-diffusion's kind for two samples."""

    def model(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return GaussianOracle().predict(x, EDM().at(s=float(sigma[0])))[0]

    other = (lambda: torch.zeros(2, 4)) if unguided else None
    sampler(name)(model, torch.zeros(2, 4), LEVELS, unguided=other)


def in_web_ui(name: str, host: PluginHost) -> None:
    """Whether the extension registers it."""
    spec = host.schedulers[name]
    if spec.adaptive or spec.needs:
        raise LatentryError("", why="The web UI draws batches and passes the guided answer alone: it is left out.")


def table(host: PluginHost) -> str:
    """The rows, and under them the reasons."""
    reasons: list[str] = []

    def cell(tried: Callable[[], Any]) -> str:
        try:
            tried()
        except LatentryError as error:
            why = error.why or error.what
            if why not in reasons:
                reasons.append(why)
            return str(reasons.index(why) + 1)
        return "yes"

    rows = []
    for name in host.schedulers:
        cells = [
            *map(cell, in_pipelines(name, VP)),
            *map(cell, in_pipelines(name, FLOW)),
            *map(cell, in_pipelines(name, FLOW, tokens=4, sigmas=True)),
            cell(lambda name=name: called(name, unguided=False)),
            cell(lambda name=name: called(name, unguided=True)),
            cell(lambda name=name: in_web_ui(name, host)),
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n\n" + "\n".join(f"{i}. {why}" for i, why in enumerate(reasons, 1)) + "\n"


def page() -> str:
    """The whole page."""
    return HEAD + table(PluginHost())


def main() -> None:
    """Print the page, or write it."""
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        print(page(), end="")


if __name__ == "__main__":
    main()
