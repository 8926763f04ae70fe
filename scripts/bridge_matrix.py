"""Which scheduler works where in other programs: printed, or with ``--write`` put into ``docs/bridge-matrix.md``.

Each cell is tried: the bridge makes the scheduler and runs it, or refuses it with a reason.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import DDIMScheduler

from latentry import EDM, LatentryError, PluginHost
from latentry.testing import GaussianOracle
from latentry_bridge_diffusers import scheduler
from latentry_bridge_k_diffusion import sampler

PAGE = Path(__file__).resolve().parents[1] / "docs" / "bridge-matrix.md"
STOCK = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False)
LEVELS = torch.tensor([14.6, 4.0, 1.0, 0.3, 0.0])
HEAD = """# Schedulers in other programs

<!-- python scripts/bridge_matrix.py --write -->
Each cell was tried on the noise process of Stable Diffusion; a number is the reason of a refusal, below. *Begins late*
is image to image. *Blending* is inpainting with a network that is not shown the mask; in ComfyUI and the web UI the
model itself blends. The k-diffusion column is a batch of two; ComfyUI takes the same, and gives CFG++ the unguided
answer.

| scheduler | diffusers | begins late | blending | k-diffusion | ComfyUI | web UI |
|---|---|---|---|---|---|---|
"""


class StableDiffusionInpaintPipeline:
    """As much of one as the bridge looks at: a network of four channels, that of the latents."""

    scheduler = STOCK
    unet = SimpleNamespace(config=SimpleNamespace(in_channels=4))
    vae = SimpleNamespace(config=SimpleNamespace(latent_channels=4))


def run(made: Any, begin: int) -> None:
    """One run of a pipeline's loop, from an entry on."""
    made.set_timesteps(6)
    made.set_begin_index(begin * made.order)
    x = torch.zeros(1, 4, 2, 2)
    for timestep in made.timesteps[begin * made.order :]:
        x = made.step(x, timestep, x, return_dict=False)[0]


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
            cell(lambda name=name: run(scheduler(name, STOCK), 0)),
            cell(lambda name=name: run(scheduler(name, STOCK), 2)),
            cell(lambda name=name: run(scheduler(name, StableDiffusionInpaintPipeline()), 0)),
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
