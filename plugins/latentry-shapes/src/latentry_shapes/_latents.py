"""Drawings as a denoiser learns them: the latents of a fixed set, and for inpainting what a mask leaves of them."""

from __future__ import annotations

import copy
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
from latentry_shapes.networks import SIDE
from latentry_shapes.scenes import SIZE, Scene, halved, random_scene

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


@dataclass(frozen=True)
class Desk:
    """Where drawings are drawn and encoded, once for each kind of them.

    Attributes:
        vae: encodes them.
        folder: keeps what comes of it.
        seed: of all draws.
    """

    vae: AutoencoderKL
    folder: Path
    seed: int

    def clean(self, seen: Tensor, rng: random.Random) -> Tensor:
        """Latents of pictures."""
        return cast(Tensor, self.vae.encode(seen).latent_dist.mean)

    def around(self, seen: Tensor, rng: random.Random) -> Tensor:
        """Masks, and latents of what they leave of pictures."""
        hole = masks(len(seen), random.Random(f"{self.seed} masks {rng.random()}"))
        return torch.cat([interpolate(hole, (SIDE, SIDE)), self.clean(seen * (1 - hole), rng)], dim=1)

    def kept(
        self, name: str, scenes: Sequence[Scene], rng: random.Random, what: Callable[[Tensor, random.Random], Tensor]
    ) -> Tensor:
        """What is made of the drawings of scenes, from the folder where it is there."""
        file = self.folder / f"{name}-{self.vae.config.latent_channels}-{len(scenes)}-{self.seed}.pt"
        if not file.exists():
            batches = (scenes[i : i + BATCH] for i in range(0, len(scenes), BATCH))
            part = file.with_suffix(".part")
            torch.save(torch.cat([what(pictures(batch, rng), rng) for batch in batches]), part)
            part.replace(file)
        return cast(Tensor, torch.load(file, weights_only=True))


@torch.no_grad()
def encode_drawings(
    vae: AutoencoderKL, folder: Path, *, count: int, seed: int, halves: int = 0, masked: bool = False
) -> Drawings:
    """Latents of drawings; sets the autoencoder's scaling factor, and its shift where SD3 and FLUX have one.

    They are kept in the folder, from which a resumed training takes them.

    Args:
        vae: encodes them.
        folder: keeps them.
        count: of scenes that are said in full.
        seed: of all draws.
        halves: of scenes more, in which some things are half said.
        masked: also what masks leave of the pictures.
    """
    desk, rng = Desk(vae, folder, seed), random.Random(f"{seed} drawings")
    scenes = [random_scene(rng) for _ in range(count)]
    again = copy.copy(rng)
    latents = desk.kept("latents", scenes, rng, desk.clean)
    shifted, factor = vae.config.shift_factor is not None, 1 / float(latents.std())
    shift = float(latents.mean()) if shifted else 0.0
    vae.register_to_config(scaling_factor=factor, shift_factor=shift if shifted else None)
    beside = desk.kept("around", scenes, again, desk.around) if masked else None
    if beside is not None:
        beside[:, 1:] = (beside[:, 1:] - shift) * factor
    rng = random.Random(f"{seed} halves")
    more = [halved(random_scene(rng), rng) for _ in range(halves)]
    if more:
        latents = torch.cat([latents, desk.kept("halves", more, rng, desk.clean)])
    return Drawings([*scenes, *more], (latents - shift) * factor, beside)
