"""Trains one of the shipped models: ``python -m latentry_shapes.train --out FOLDER``. It can be stopped and resumed.

Three stages: the autoencoder on drawings; the text encoders on captions alone; the denoiser on the latents of a fixed
set of drawings, with the other two fixed. Each stage keeps an exponential average of its weights, which is what is
written. Models that are trained with the same ``--work`` folder share the stages that they have in common.

``--start`` trains the denoiser of a finished model further.
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
from latentry_shapes._batches import Batches, encode
from latentry_shapes._latents import Drawings, encode_drawings, pictures
from latentry_shapes._model_folder import export, load, load_autoencoder
from latentry_shapes._progress import Show, progress
from latentry_shapes._shipped import folder_of
from latentry_shapes._stage import SAVE_EVERY, Stage
from latentry_shapes.designs import DESIGNS, Design, Flux, StableDiffusion, adopt
from latentry_shapes.distillation import Distillation, Teacher
from latentry_shapes.objectives import Objective
from latentry_shapes.scenes import random_scene
from latentry_shapes.text_training import train_text_encoder


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
    """Trains an autoencoder to reconstruct drawings, with a small pull of the latents towards a unit normal.

    Args:
        folder: of the checkpoint.
        steps: number of steps.
        batch: drawings in a step.
        seed: of all random choices.
        channels: of the latents, 4 or 16.
        start: weights to start from.
        every: steps between checkpoints.
        show: shows progress.
    """
    torch.manual_seed(seed)
    network = networks.autoencoder(channels)
    adopt(network, start or {})
    stage = Stage(network, folder / f"autoencoder-{channels}.pt", steps=steps, peak=2e-3, decay=0.998)

    def loss(step: int) -> Tensor:
        rng = random.Random(f"{seed} autoencoder {step}")
        pixels = pictures([random_scene(rng) for _ in range(batch)], rng)
        posterior = stage.network.encode(pixels).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=torch.Generator().manual_seed(step))
        decoded = stage.network.decode(posterior.mean + posterior.std * noise).sample
        error = (decoded - pixels).abs().mean() + 2 * (decoded - pixels).square().mean()
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
    teacher: Teacher | None = None,
    compiled: bool = False,
    every: int = SAVE_EVERY,
    show: Show = progress,
) -> nn.Module:
    """Trains the denoiser of a design.

    Args:
        folder: of the checkpoint.
        name: of the design.
        encoders: trained text encoders, by name.
        drawings: what it learns from.
        steps: number of steps.
        batch: drawings in a step.
        seed: of all random choices.
        start: the denoiser to start from. A FLUX is distilled from it.
        teacher: whose predictions it learns; None for the noise of the drawings.
        compiled: whether to compile the denoiser.
        every: steps between checkpoints.
        show: shows progress.
    """
    torch.manual_seed(seed)
    design = DESIGNS[name]
    network = design.denoiser()
    adopt(network, start.state_dict() if start else {})
    if compiled:
        network.compile()
    stage = Stage(network, folder / f"denoiser-{name}.pt", steps=steps, peak=1e-3, decay=0.999, muon=design.muon)
    objective = Objective(design.kind, networks.cumulative(), design.noisy)
    batches = Batches(design, encoders, drawings, objective, batch, seed)
    distil = None
    if isinstance(design, Flux) and start:
        distil = Distillation(design, start, encode(design, encoders, [""]))

    def loss(step: int) -> Tensor:
        given = batches(step)
        with torch.autocast("cpu", torch.bfloat16):
            if distil is None:
                predicted = design.predict(stage.network, given.inputs, given.levels.times, given.states)
                target = teacher.target(given) if teacher else given.target
            else:
                predicted, target = distil(stage.network, given)
        return objective.loss(predicted.float(), target, given.levels, given.mask)

    return stage.run(loss, every=every, show=show)


class Training:
    """All stages of one model. A stage that is finished in the folder of checkpoints is taken from there.

    Args:
        work: folder of the checkpoints.
        args: the arguments of the command line.
    """

    def __init__(self, work: Path, args: argparse.Namespace) -> None:
        self.work, self.args = work, args
        self.given: str | None = args.autoencoder or args.teacher
        self.shared: dict[str, Any] = {"batch": args.batch, "seed": args.seed, "every": args.save_every}

    def autoencoder(self, channels: int) -> AutoencoderKL:
        """The autoencoder: a finished model's, or trained; with 16 channels it starts from the one with 4."""
        if self.given:
            return load_autoencoder(folder_of(self.given), channels)
        start = None if channels == 4 else self.autoencoder(4).state_dict()
        steps = self.args.autoencoder_steps if channels == 4 else self.args.wider_steps
        return train_autoencoder(self.work, steps=steps, channels=channels, start=start, **self.shared)

    def text_encoders(self, design: Design) -> dict[str, nn.Module]:
        """The text encoders of a design, by name."""
        sizes = self.shared | {"batch": 8 * self.args.batch}
        return {n: train_text_encoder(self.work, n, steps=self.args.reader_steps, **sizes) for n in design.encoders}

    def drawings(self, design: Design, vae: AutoencoderKL, *, rescale: bool = True) -> Drawings:
        """What the denoiser of a design learns from."""
        count, seed = self.args.pictures, self.args.seed
        partly = self.args.partly_named if design.partly_named else 0
        sizes = {"count": count, "seed": seed, "partly": partly}
        rescale = rescale and not self.given
        return encode_drawings(vae, self.work, **sizes, masked=design.masked, rescale=rescale)

    def denoiser(self, name: str, encoders: Mapping[str, nn.Module], vae: AutoencoderKL) -> nn.Module:
        """The denoiser of a design. The one that it starts from is trained first."""
        design = DESIGNS[name]
        drawings = self.drawings(design, vae)
        other = design.starts_from
        start = None if other is None else self.denoiser(other, encoders, vae)
        steps = self.args.denoiser_steps if other is None else self.args.further_steps
        steps = design.steps if steps is None else steps
        how = self.shared | {"compiled": self.args.compile, "teacher": self.teacher(design)}
        return train_denoiser(self.work, name, encoders, drawings, steps=steps, start=start, **how)

    def teacher(self, design: Design) -> Teacher | None:
        """The model whose predictions a denoiser learns, if one was asked for."""
        if not self.args.teacher:
            return None
        taught = DESIGNS[self.args.teacher]
        _, encoders, denoiser = load(folder_of(self.args.teacher), taught)
        return Teacher(taught, denoiser, encoders)

    def model(self, name: str, out: Path) -> None:
        """Trains what is not trained yet, and writes the diffusers folder."""
        design = DESIGNS[name]
        vae = self.autoencoder(design.channels)
        encoders = self.text_encoders(design)
        export(out, design, vae, encoders, self.denoiser(name, encoders, vae))

    def further(self, name: str, folder: Path, out: Path) -> None:
        """Trains the denoiser of a finished Stable Diffusion model further, and writes the model with it."""
        design = DESIGNS[name]
        vae, encoders, denoiser = load(folder, design)
        drawings = self.drawings(design, vae, rescale=False)
        steps = design.steps if self.args.further_steps is None else self.args.further_steps
        how = self.shared | {"compiled": self.args.compile, "steps": steps}
        export(out, design, vae, encoders, train_denoiser(self.work, name, encoders, drawings, start=denoiser, **how))


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m latentry_shapes.train", description=summary)
    parser.add_argument("--out", type=Path, required=True, help="folder for the finished model")
    parser.add_argument("--model", choices=tuple(DESIGNS), default="shapes", help="(default: %(default)s)")
    parser.add_argument("--work", type=Path, help="folder for checkpoints (default: OUT-training, next to OUT)")
    parser.add_argument(
        "--start", help="train the denoiser of this model for --further-steps: a shipped model or a diffusers folder"
    )
    parser.add_argument(
        "--teacher", choices=tuple(DESIGNS), help="learn what this shipped model predicts; with its autoencoder"
    )
    parser.add_argument("--autoencoder", help="that of this model, a shipped one or a diffusers folder, untrained")
    for name, steps, what in (
        ("autoencoder", 4000, "autoencoder with 4 channels"),
        ("wider", 1500, "autoencoder with 16 channels, after the one with 4"),
        ("reader", 800, "each text encoder"),
    ):
        parser.add_argument(f"--{name}-steps", type=int, default=steps, help=f"{what} (default: %(default)s)")
    parser.add_argument("--denoiser-steps", type=int, help="denoiser with random weights (default: the design's)")
    parser.add_argument("--further-steps", type=int, help="denoiser that starts from another (default: the design's)")
    parser.add_argument("--pictures", type=int, default=48000, help="number of drawings (default: %(default)s)")
    parser.add_argument(
        "--partly-named", type=int, default=36000, help="number of further drawings with partly named things"
    )
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=int, default=SAVE_EVERY, help="steps between checkpoints")
    parser.add_argument("--compile", action="store_true", help="compile the denoiser; needs a C++ compiler")
    args = parser.parse_args(words)
    design, teacher = DESIGNS[args.model], DESIGNS.get(args.teacher)
    if teacher and (teacher.channels, teacher.kind) != (design.channels, design.kind):
        parser.error(
            f"{args.teacher} cannot teach {args.model}: their latents or what they predict are of another kind"
        )
    if args.start and not isinstance(DESIGNS[args.model], StableDiffusion):
        parser.error(f"--start does not work with --model {args.model}, only with Stable Diffusion models")
    return args


def main(words: Sequence[str] | None = None) -> int:
    """Command line of the training. The defaults give models like the shipped ones."""
    args = _arguments(words)
    out = args.out.resolve()
    work = args.work or out.with_name(f"{out.name}-training")  # not inside OUT: checkpoints are pickles
    work.mkdir(parents=True, exist_ok=True)
    training = Training(work, args)
    try:
        if args.start:
            training.further(args.model, folder_of(args.start), out)
        else:
            training.model(args.model, out)
    except KeyboardInterrupt:
        print(f"Stopped. The same command continues from the last checkpoint in {work}.", file=sys.stderr)
        return 130
    print(f"The model is in {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
