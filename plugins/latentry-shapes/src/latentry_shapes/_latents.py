"""Drawings as a denoiser learns them: the latents of a fixed set, and for inpainting what a mask leaves of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn.functional import interpolate

from latentry_shapes.drawing import draw
from latentry_shapes.scenes import SIZE, Scene, random_scene

BATCH = 128
WHOLE = 0.3
"""Share of masks that cover the whole picture."""


@dataclass(frozen=True)
class Drawings:
    """What a denoiser is trained on.

    Attributes:
        scenes: what was drawn.
        latents: (drawings, channels, 16, 16), of mean 0 and deviation 1 where the autoencoder's are shifted, else of
            deviation 1.
        around: (drawings, 1 + channels, 16, 16): a mask, and the latents of the picture with grey under it.
    """

    scenes: Sequence[Scene]
    latents: Tensor
    around: Tensor | None = None


def pictures(scenes: Sequence[Scene], rng: random.Random) -> Tensor:
    """Drawings of the scenes: (batch, 3, 64, 64), -1 to 1."""
    drawn = torch.from_numpy(np.stack([draw(scene, rng) for scene in scenes]))
    tensor = drawn.permute(0, 3, 1, 2).float() / 127.5 - 1
    return tensor.to(memory_format=torch.channels_last)


def masks(count: int, rng: random.Random) -> Tensor:
    """Rectangles to be drawn anew, the whole picture at times: (count, 1, 64, 64), 1 inside."""
    made = torch.zeros(count, 1, SIZE, SIZE)
    for mask in made:
        if rng.random() < WHOLE:
            mask.fill_(1)
            continue
        height, width = (rng.randrange(SIZE // 4, SIZE + 1, 4) for _ in range(2))
        top, left = rng.randrange(0, SIZE - height + 1, 4), rng.randrange(0, SIZE - width + 1, 4)
        mask[:, top : top + height, left : left + width] = 1
    return made


def _kept(file: Path, make: Callable[[], Tensor]) -> Tensor:
    """What the file holds, made and written first where there is none."""
    if not file.exists():
        part = file.with_suffix(".part")
        torch.save(make(), part)
        part.replace(file)
    return cast(Tensor, torch.load(file, weights_only=True))


@torch.no_grad()
def encode_drawings(vae: AutoencoderKL, folder: Path, *, count: int, seed: int, masked: bool = False) -> Drawings:
    """Latents of ``count`` drawings; sets the autoencoder's scaling factor, and its shift where SD3 and FLUX have one.

    They are kept in the folder, from which a resumed training takes them.
    """
    channels = int(vae.config.latent_channels)
    name = f"{channels}-{count}-{seed}.pt"

    def encoded(what: Callable[[Tensor, random.Random], Tensor]) -> Tensor:
        rng = random.Random(f"{seed} drawings")
        scenes = [random_scene(rng) for _ in range(count)]
        return torch.cat([what(pictures(scenes[i : i + BATCH], rng), rng) for i in range(0, count, BATCH)])

    def clean(seen: Tensor, rng: random.Random) -> Tensor:
        return cast(Tensor, vae.encode(seen).latent_dist.mean)

    def around(seen: Tensor, rng: random.Random) -> Tensor:
        hole = masks(len(seen), random.Random(f"{seed} masks {rng.random()}"))
        left = vae.encode(seen * (1 - hole)).latent_dist.mean
        return torch.cat([interpolate(hole, left.shape[-2:]), left], dim=1)

    latents = _kept(folder / f"latents-{name}", lambda: encoded(clean))
    shift = 0.0 if channels == 4 else float(latents.mean())
    factor = 1 / float(latents.std())
    vae.register_to_config(scaling_factor=factor, shift_factor=shift if channels != 4 else None)
    rng = random.Random(f"{seed} drawings")
    scenes = [random_scene(rng) for _ in range(count)]
    if not masked:
        return Drawings(scenes, (latents - shift) * factor)
    beside = _kept(folder / f"around-{name}", lambda: encoded(around))
    beside[:, 1:] = (beside[:, 1:] - shift) * factor
    return Drawings(scenes, (latents - shift) * factor, beside)
