"""Trains a shipped model: ``python -m latentry_shapes.train --out FOLDER``. Stop it at will; it resumes.

First the autoencoder on fresh drawings, then the text encoders on captions alone, then the denoiser on the latents of
a fixed set of drawings, with both of them fixed. Each stage keeps an exponential average of its weights, which is what
ships. Models trained with one ``--work`` folder share what they have in common.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from latentry_shapes import networks
from latentry_shapes._exercises import Exercises
from latentry_shapes._export import export
from latentry_shapes._latents import Drawings, encode_drawings, pictures
from latentry_shapes._progress import Show, progress
from latentry_shapes._stage import SAVE_EVERY, Stage
from latentry_shapes.designs import DESIGNS, Design, Flux, adopt
from latentry_shapes.distillation import Distillation
from latentry_shapes.objectives import Objective
from latentry_shapes.reading import train_reader
from latentry_shapes.scenes import random_scene


def train_autoencoder(
    folder: Path,
    *,
    steps: int,
    batch: int,
    seed: int,
    channels: int = 4,
    start: Mapping[str, Tensor] | None = None,
    every: int = SAVE_EVERY,
    show: Show = progress,
) -> AutoencoderKL:
    """Reconstruction with a small pull of the latents towards a unit normal."""
    torch.manual_seed(seed)
    network = networks.autoencoder(channels)
    adopt(network, start or {})
    stage = Stage(network, folder / f"autoencoder-{channels}.pt", steps=steps, peak=2e-3, decay=0.998)

    def loss(step: int) -> Tensor:
        rng = random.Random(f"{seed} autoencoder {step}")
        seen = pictures([random_scene(rng) for _ in range(batch)], rng)
        posterior = stage.network.encode(seen).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=torch.Generator().manual_seed(step))
        shown = stage.network.decode(posterior.mean + posterior.std * noise).sample
        error = (shown - seen).abs().mean() + 2 * (shown - seen).square().mean()
        divergence = (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean() / 2
        return cast(Tensor, error + 1e-3 * divergence)

    return stage.run(loss, every=every, show=show)


def train_denoiser(
    folder: Path,
    name: str,
    encoders: Mapping[str, nn.Module],
    drawings: Drawings,
    *,
    steps: int,
    batch: int,
    seed: int,
    start: nn.Module | None = None,
    compiled: bool = False,
    every: int = SAVE_EVERY,
    show: Show = progress,
) -> nn.Module:
    """The denoiser of a design, told by text encoders that can read.

    ``start`` is what it begins with; a FLUX is distilled from it.
    """
    torch.manual_seed(seed)
    design = DESIGNS[name]
    network = design.denoiser()
    adopt(network, start.state_dict() if start else {})
    if compiled:
        network.compile()
    stage = Stage(network, folder / f"denoiser-{name}.pt", steps=steps, peak=1e-3, decay=0.999, muon=design.muon)
    objective = Objective(design.kind, networks.cumulative())
    exercises = Exercises(design, encoders, drawings, objective, batch, seed)
    lessons = Distillation(design, start, exercises.read([""])) if isinstance(design, Flux) and start else None

    def loss(step: int) -> Tensor:
        given = exercises(step)
        with torch.autocast("cpu", torch.bfloat16):
            if lessons is None:
                said, target = design.say(stage.network, given.seen, given.levels.times, given.told), given.target
            else:
                said, target = lessons(stage.network, given)
        return objective.loss(said.float(), target, given.levels)

    return stage.run(loss, every=every, show=show)


class Training:
    """All stages of one model; a stage that is finished in the folder is taken from there.

    Args:
        work: folder of the checkpoints.
        args: the command line's.
    """

    def __init__(self, work: Path, args: argparse.Namespace) -> None:
        self.work, self.args = work, args
        self.shared: dict[str, Any] = {"batch": args.batch, "seed": args.seed, "every": args.save_every}

    def autoencoder(self, channels: int) -> AutoencoderKL:
        """With 16 channels it begins with the weights of the one with 4."""
        start = None if channels == 4 else self.autoencoder(4).state_dict()
        steps = self.args.autoencoder_steps if channels == 4 else self.args.wider_steps
        return train_autoencoder(self.work, steps=steps, channels=channels, start=start, **self.shared)

    def readers(self, design: Design) -> dict[str, nn.Module]:
        """The text encoders of a design."""
        sizes = self.shared | {"batch": 8 * self.args.batch}
        return {n: train_reader(self.work, n, steps=self.args.reader_steps, **sizes) for n in design.encoders}

    def denoiser(self, name: str, encoders: Mapping[str, nn.Module], vae: AutoencoderKL) -> nn.Module:
        """A design that begins with another's denoiser has that trained first."""
        design = DESIGNS[name]
        count, seed = self.args.pictures, self.args.seed
        halves = self.args.halves if design.halves else 0
        drawings = encode_drawings(vae, self.work, count=count, seed=seed, halves=halves, masked=design.masked)
        other = design.begins_with
        start = None if other is None else self.denoiser(other, encoders, vae)
        steps = self.args.denoiser_steps if other is None else self.args.further_steps
        steps = design.steps if steps is None else steps
        how = self.shared | {"compiled": self.args.compile}
        return train_denoiser(self.work, name, encoders, drawings, steps=steps, start=start, **how)

    def model(self, name: str, out: Path) -> None:
        """Trains what is not trained yet, and writes the diffusers folder."""
        design = DESIGNS[name]
        vae = self.autoencoder(design.channels)
        encoders = self.readers(design)
        export(out, design, vae, encoders, self.denoiser(name, encoders, vae))


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m latentry_shapes.train", description=summary)
    parser.add_argument("--out", type=Path, required=True, help="folder for the finished model")
    parser.add_argument("--model", choices=tuple(DESIGNS), default="shapes", help="(default: %(default)s)")
    parser.add_argument("--work", type=Path, help="folder for checkpoints (default: OUT-training, beside OUT)")
    for name, steps, what in (
        ("autoencoder", 4000, "autoencoder with 4 channels"),
        ("wider", 1500, "autoencoder with 16 channels, after the one with 4"),
        ("reader", 800, "each text encoder"),
        ("further", 2000, "denoiser that begins with another's"),
    ):
        parser.add_argument(f"--{name}-steps", type=int, default=steps, help=f"{what} (default: %(default)s)")
    parser.add_argument("--denoiser-steps", type=int, help="denoiser (default: as many as the design wants)")
    parser.add_argument("--pictures", type=int, default=48000, help="drawings the denoiser learns from")
    parser.add_argument("--halves", type=int, default=36000, help="more of them, in which some things are half said")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=int, default=SAVE_EVERY, help="steps between checkpoints")
    parser.add_argument("--compile", action="store_true", help="compile the denoiser first, which needs a C++ compiler")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Command line of the training; the defaults give models like those shipped."""
    args = _arguments(words)
    out = args.out.resolve()
    work = args.work or out.with_name(f"{out.name}-training")  # pickles have no place in a model folder
    work.mkdir(parents=True, exist_ok=True)
    try:
        Training(work, args).model(args.model, out)
    except KeyboardInterrupt:
        print(f"Stopped. The same command goes on from the last checkpoint in {work}.", file=sys.stderr)
        return 130
    print(f"The model is in {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
