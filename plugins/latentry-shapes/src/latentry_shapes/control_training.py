"""Trains a ControlNet or an adapter for a shipped model: ``python -m latentry_shapes.control_training --out FOLDER``.

It learns to draw what an outline says: drawings with the outlines of their things, white on black. The model itself
does not change. Training can be stopped, and continues from its last checkpoint.
"""

from __future__ import annotations

import argparse
import copy
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from latentry_shapes import networks
from latentry_shapes._batches import Batches
from latentry_shapes._latents import BATCH, Drawings
from latentry_shapes._model_folder import load
from latentry_shapes._progress import Show, progress
from latentry_shapes._shipped import folder_of
from latentry_shapes._stage import SAVE_EVERY, Stage
from latentry_shapes.control_designs import ADAPTERS, CONTROLS
from latentry_shapes.designs import DESIGNS
from latentry_shapes.drawing import draw_with_outline
from latentry_shapes.objectives import Objective
from latentry_shapes.scenes import partly_named, random_scene

PARTLY_NAMED = 0.3
"""Share of the drawings with things that are not fully named: their outlines are of no known shape."""


@dataclass(frozen=True)
class Outlined:
    """Drawings with their outlines.

    Attributes:
        drawings: scenes and latents.
        outlines: (drawings, 64, 64), 0 to 255.
    """

    drawings: Drawings
    outlines: Tensor

    def hints(self, chosen: Sequence[int]) -> Tensor:
        """Outlines as a network is given them: (batch, 3, 64, 64), 0 to 1."""
        return (self.outlines[list(chosen)].float() / 255)[:, None].expand(-1, 3, -1, -1)


@torch.no_grad()
def outlined_drawings(vae: AutoencoderKL, *, count: int, seed: int) -> Outlined:
    """Draws random scenes with their outlines, and encodes the drawings.

    Args:
        vae: the model's autoencoder, with its scaling factor.
        count: number of drawings.
        seed: of all random choices.
    """
    rng = random.Random(f"{seed} outlined drawings")
    scenes = [random_scene(rng) for _ in range(count)]
    scenes = [partly_named(scene, rng) if rng.random() < PARTLY_NAMED else scene for scene in scenes]
    outlines, latents = [], []
    for start in range(0, count, BATCH):
        pairs = [draw_with_outline(scene, rng) for scene in scenes[start : start + BATCH]]
        pixels = torch.from_numpy(np.stack([picture for picture, _ in pairs])).permute(0, 3, 1, 2).float() / 127.5 - 1
        outlines.append(torch.from_numpy(np.stack([outline for _, outline in pairs])))
        latents.append(vae.encode(pixels).latent_dist.mean.float())
    shift, factor = vae.config.shift_factor or 0.0, vae.config.scaling_factor
    return Outlined(Drawings(scenes, (torch.cat(latents) - shift) * factor), torch.cat(outlines))


def train_control(
    work: Path,
    name: str,
    folder: Path,
    *,
    steps: int,
    batch: int,
    count: int,
    seed: int,
    adapter: bool = False,
    every: int = SAVE_EVERY,
    show: Show = progress,
) -> nn.Module:
    """Trains the ControlNet of a model, or its T2I-Adapter.

    Args:
        work: folder of the checkpoint.
        name: of the model's design.
        folder: of the model.
        steps: number of steps.
        batch: drawings in a step.
        count: drawings that it learns from.
        seed: of all random choices.
        adapter: whether it is the adapter.
        every: steps between checkpoints.
        show: shows progress.
    """
    torch.manual_seed(seed)
    design, control = DESIGNS[name], (ADAPTERS if adapter else CONTROLS)[name]
    vae, encoders, denoiser = load(folder, design)
    for frozen in (vae, denoiser, *encoders.values()):
        frozen.requires_grad_(False)
    outlined = outlined_drawings(vae, count=count, seed=seed)
    objective = Objective(design.kind, networks.cumulative(), design.noisy)
    batches = Batches(design, encoders, outlined.drawings, objective, batch, seed)
    network = control.network(denoiser)
    stage = Stage(
        network,
        work / f"{'adapter' if adapter else 'control'}-{name}.pt",
        steps=steps,
        peak=1e-3,
        decay=0.995,
        muon=design.muon,
    )

    def loss(step: int) -> Tensor:
        given = batches(step)
        hints = control.hints(vae, outlined.hints(given.chosen))
        with torch.autocast("cpu", torch.bfloat16):
            predicted = control.predict(denoiser, stage.network, given.inputs, given.levels.times, given.states, hints)
        return objective.loss(predicted.float(), given.target, given.levels)

    return stage.run(loss, every=every, show=show)


def export(network: Any, out: Path) -> None:
    """Writes a diffusers folder in float16."""
    copy.deepcopy(network).half().save_pretrained(out)


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m latentry_shapes.control_training", description=summary)
    parser.add_argument("--out", type=Path, required=True, help="folder for the finished network")
    parser.add_argument("--model", choices=tuple(CONTROLS), default="shapes", help="(default: %(default)s)")
    parser.add_argument("--adapter", action="store_true", help=f"train a T2I-Adapter, for {', '.join(ADAPTERS)}")
    parser.add_argument("--work", type=Path, help="folder for checkpoints (default: OUT-training, next to OUT)")
    parser.add_argument("--steps", type=int, default=2000, help="(default: %(default)s)")
    parser.add_argument("--pictures", type=int, default=8000, help="number of drawings (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=int, default=SAVE_EVERY, help="steps between checkpoints")
    args = parser.parse_args(words)
    if args.adapter and args.model not in ADAPTERS:
        parser.error(f"--adapter is for {', '.join(ADAPTERS)}, not for {args.model}")
    return args


def main(words: Sequence[str] | None = None) -> int:
    """Command line of the training. The defaults give networks like the shipped ones."""
    args = _arguments(words)
    out = args.out.resolve()
    work = args.work or out.with_name(f"{out.name}-training")
    work.mkdir(parents=True, exist_ok=True)
    sizes = {"steps": args.steps, "batch": args.batch, "count": args.pictures, "seed": args.seed}
    how = {"adapter": args.adapter, "every": args.save_every}
    try:
        network = train_control(work, args.model, folder_of(args.model), **how, **sizes)
    except KeyboardInterrupt:
        print(f"Stopped. The same command continues from the last checkpoint in {work}.", file=sys.stderr)
        return 130
    export(network, out)
    print(f"The {'adapter' if args.adapter else 'ControlNet'} is in {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
