"""Trains the shipped model: ``python -m latentry_shapes.train --out FOLDER``. Stop it at will; it resumes.

First the autoencoder on fresh drawings, then the text encoder and the denoiser together on the latents of a
fixed set of drawings. Both stages keep an exponential average of their weights, which is what ships.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar, cast

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from latentry_shapes import networks
from latentry_shapes._progress import Show, progress
from latentry_shapes.drawing import draw
from latentry_shapes.scenes import Scene, random_scene

UNCONDITIONAL = 0.1
"""Share of captions that are dropped, so that guidance has an unconditional prediction."""
TURNED = ("right of", "below")
TURNED_SHARE = 0.7
"""Share of the captions with these relations that are said the other way round, until the last fifth."""
NOISY = 600
"""Half of the timesteps are drawn from here on, where background and places are decided."""
LAST = 0.8
"""Where the last fifth of a stage begins, in which the learning rate falls."""
NO_BACKGROUND = 0.25
"""Share of captions that leave the background open."""
SAVE_EVERY = 500
"""Steps between checkpoints."""

Network = TypeVar("Network", bound=nn.Module)


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Warm up over 200 steps, hold, fall linearly to nothing over the last fifth."""
    return peak * min(1.0, (step + 1) / 200, max(0.0, (steps - step) / steps / (1 - LAST)))


class Stage(Generic[Network]):
    """One network in training: weights, their average, the optimiser, and a file they resume from."""

    def __init__(self, network: Network, file: Path, *, steps: int, peak: float, decay: float) -> None:
        self.network, self.file, self.steps, self.peak = network, file, steps, peak
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(network, multi_avg_fn=average)
        weights = network.parameters()
        self.optimizer = torch.optim.AdamW(weights, lr=peak, betas=(0.9, 0.99), weight_decay=0.01)
        self.step = 0
        if file.exists():
            state = torch.load(file, weights_only=True)
            network.load_state_dict(state["module"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]

    def save(self) -> None:
        """Writes beside the file and renames, so that an interrupted save loses nothing."""
        state = {
            "module": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }
        part = self.file.with_suffix(".part")
        torch.save(state, part)
        part.replace(self.file)

    def run(self, loss: Callable[[int], Tensor], *, every: int, show: Show) -> Network:
        """Trains up to ``steps``; ``loss(step)`` draws its own batch. Returns the averaged network."""
        self.network.train()
        recent: float | None = None
        with show(self.file.stem, self.step, self.steps) as report:
            while self.step < self.steps:
                value = self._descend(loss)
                recent = value if recent is None else 0.99 * recent + 0.01 * value
                if self.step % every == 0 or self.step == self.steps:
                    self.save()
                report(self.step, f"loss {recent:.4f}")
        return cast(Network, self.average.module.eval())

    def _descend(self, loss: Callable[[int], Tensor]) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.steps, self.peak)
        self.optimizer.zero_grad(set_to_none=True)
        value = loss(self.step)
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        self.step += 1
        return float(value.detach())


def pictures(scenes: Sequence[Scene], rng: random.Random) -> Tensor:
    """Drawings of the scenes: (batch, 3, 64, 64), -1 to 1."""
    drawn = torch.from_numpy(np.stack([draw(scene, rng) for scene in scenes]))
    tensor = drawn.permute(0, 3, 1, 2).float() / 127.5 - 1
    return tensor.to(memory_format=torch.channels_last)


def train_autoencoder(
    folder: Path, *, steps: int, batch: int, seed: int, every: int = SAVE_EVERY, show: Show = progress
) -> AutoencoderKL:
    """Reconstruction with a small pull of the latents towards a unit normal."""
    torch.manual_seed(seed)
    stage = Stage(networks.autoencoder(), folder / "autoencoder.pt", steps=steps, peak=2e-3, decay=0.998)

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


@torch.no_grad()
def encode_drawings(vae: AutoencoderKL, file: Path, *, count: int, seed: int) -> tuple[Tensor, list[Scene]]:
    """Latents of ``count`` drawings, scaled to a deviation of one; sets the VAE's scaling factor to match.

    They are kept in the file, from which a resumed training takes them.
    """
    rng = random.Random(f"{seed} drawings")
    scenes = [random_scene(rng) for _ in range(count)]
    if file.exists():
        latents = torch.load(file, weights_only=True)
    else:
        parts = [vae.encode(pictures(scenes[i : i + 128], rng)).latent_dist.mean for i in range(0, count, 128)]
        latents = torch.cat(parts)
        part = file.with_suffix(".part")
        torch.save(latents, part)
        part.replace(file)
    factor = 1 / float(latents.std())
    vae.register_to_config(scaling_factor=factor)
    return latents * factor, scenes


class Denoiser(nn.Module):
    """Text encoder and UNet as one trainable whole."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.text_encoder = networks.text_encoder(vocabulary)
        self.unet = networks.unet()

    def forward(self, latents: Tensor, timesteps: Tensor, tokens: Tensor) -> Tensor:
        """The predicted noise: latents (batch, 4, 16, 16), timesteps (batch,), tokens (batch, TOKENS)."""
        states = self.text_encoder(tokens).last_hidden_state
        return cast(Tensor, self.unet(latents, timesteps, states).sample)


def captions(scenes: list[Scene], rng: random.Random, turned: float) -> Iterator[str]:
    """The scenes' captions, some without a background and some empty.

    A share of ``turned`` of those with "right of" and "below" are said the other way round. Which thing lies where
    depends on order and relation together, and on neither alone: as long as all four relations are as frequent there
    is no slope to learn it from.
    """
    for scene in scenes:
        said = scene.inverse() if scene.relation in TURNED and rng.random() < turned else scene
        yield "" if rng.random() < UNCONDITIONAL else said.caption(background=rng.random() >= NO_BACKGROUND)


def train_denoiser(
    folder: Path,
    latents: Tensor,
    scenes: Sequence[Scene],
    *,
    steps: int,
    batch: int,
    seed: int,
    every: int = SAVE_EVERY,
    show: Show = progress,
) -> Denoiser:
    """Noise prediction, each timestep weighted by clamp(SNR, 0.4, 5) / SNR.

    The upper bound is that of Hang et al. 2023, arXiv:2303.09556; the lower one makes the noisiest timesteps count,
    where background and places are decided.
    """
    torch.manual_seed(seed)
    tokenizer = networks.tokenizer()
    stage = Stage(Denoiser(len(tokenizer)), folder / "denoiser.pt", steps=steps, peak=1e-3, decay=0.999)
    cumulative = networks.scheduler().alphas_cumprod

    def loss(step: int) -> Tensor:
        rng = random.Random(f"{seed} denoiser {step}")
        draws = torch.Generator().manual_seed(step)
        turned = TURNED_SHARE if step < LAST * steps else 0.0
        chosen = [rng.randrange(len(scenes)) for _ in range(batch)]
        prompts = list(captions([scenes[i] for i in chosen], rng, turned))
        tokens = tokenizer(prompts, padding="max_length", return_tensors="pt").input_ids
        timesteps = torch.randint(0, 1000, (batch,), generator=draws)
        noisy = torch.randint(NOISY, 1000, (batch,), generator=draws)
        timesteps = torch.where(torch.rand(batch, generator=draws) < 0.5, noisy, timesteps)
        power = cumulative[timesteps].view(-1, 1, 1, 1)
        clean = latents[chosen]
        noise = torch.randn(clean.shape, generator=draws)
        seen = power.sqrt() * clean + (1 - power).sqrt() * noise
        predicted = stage.network(seen.to(memory_format=torch.channels_last), timesteps, tokens)
        snr = power / (1 - power)
        return cast(Tensor, ((predicted - noise).square() * (snr.clamp(0.4, 5) / snr)).mean())

    return stage.run(loss, every=every, show=show)


def export(out: Path, vae: AutoencoderKL, denoiser: Denoiser) -> None:
    """The diffusers folder: float16, but for the text encoder, whose file's dtype is the one it is run in."""
    copy.deepcopy(vae).half().save_pretrained(out / "vae")
    copy.deepcopy(denoiser.unet).half().save_pretrained(out / "unet")
    denoiser.text_encoder.save_pretrained(out / "text_encoder")
    networks.tokenizer().save_pretrained(out / "tokenizer")
    networks.scheduler().save_pretrained(out / "scheduler")
    parts = {
        "vae": ["diffusers", "AutoencoderKL"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "safety_checker": [None, None],
        "feature_extractor": [None, None],
    }
    index = {"_class_name": "StableDiffusionPipeline", "requires_safety_checker": False, **parts}
    (out / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    summary = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m latentry_shapes.train", description=summary)
    parser.add_argument("--out", type=Path, required=True, help="folder for the finished model")
    parser.add_argument("--work", type=Path, help="folder for checkpoints (default: OUT-training, beside OUT)")
    parser.add_argument("--autoencoder-steps", type=int, default=4000)
    parser.add_argument("--denoiser-steps", type=int, default=10500)
    parser.add_argument("--pictures", type=int, default=48000, help="drawings the denoiser learns from")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=int, default=SAVE_EVERY, help="steps between checkpoints")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Command line of the training; the defaults give the shipped model."""
    args = _arguments(words)
    out = args.out.resolve()
    work = args.work or out.with_name(f"{out.name}-training")  # pickles have no place in a model folder
    work.mkdir(parents=True, exist_ok=True)
    batch, seed, every = args.batch, args.seed, args.save_every
    try:
        vae = train_autoencoder(work, steps=args.autoencoder_steps, batch=batch, seed=seed, every=every)
        drawn = work / f"latents-{args.autoencoder_steps}-{args.pictures}-{seed}.pt"
        latents, scenes = encode_drawings(vae, drawn, count=args.pictures, seed=seed)
        denoiser = train_denoiser(work, latents, scenes, steps=args.denoiser_steps, batch=batch, seed=seed, every=every)
    except KeyboardInterrupt:
        print(f"Stopped. The same command goes on from the last checkpoint in {work}.", file=sys.stderr)
        return 130
    export(out, vae, denoiser)
    print(f"The model is in {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
