"""The latents that a denoiser is trained on: a fixed set of drawings, for inpainting also seen through masks."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn.functional import interpolate

from latentry_shapes.drawing import draw
from latentry_shapes.masks import random_mask
from latentry_shapes.networks import SIDE
from latentry_shapes.scenes import Scene, partly_named, random_scene

BATCH = 128
MASKS = 2
"""Masks for each drawing."""


@dataclass(frozen=True)
class Drawings:
    """What a denoiser is trained on.

    Attributes:
        scenes: what was drawn.
        latents: (drawings, channels, 16, 16), scaled to standard deviation 1, and to mean 0 if the autoencoder has a
            shift.
        masked: (drawings, MASKS, 1 + channels, 16, 16): masks, 1 where the picture is to be drawn, each followed by the
            latents of the same picture with gray there.
    """

    scenes: Sequence[Scene]
    latents: Tensor
    masked: Tensor | None = None


def pictures(scenes: Sequence[Scene], rng: random.Random) -> Tensor:
    """Drawings of the scenes: (batch, 3, 64, 64), -1 to 1."""
    drawn = torch.from_numpy(np.stack([draw(scene, rng) for scene in scenes]))
    tensor = drawn.permute(0, 3, 1, 2).float() / 127.5 - 1
    return tensor.to(memory_format=torch.channels_last)


def masks(count: int, rng: random.Random) -> Tensor:
    """Random masks: (count, 1, 64, 64), 1 where the picture is to be drawn."""
    return torch.from_numpy(np.stack([random_mask(rng) for _ in range(count)])).float()[:, None]


@dataclass(frozen=True)
class DrawingEncoder:
    """Draws scenes, encodes the drawings, and caches the result in a folder.

    Attributes:
        vae: the autoencoder.
        folder: of the cache.
        seed: of the drawings; part of the names in the cache.
    """

    vae: AutoencoderKL
    folder: Path
    seed: int

    def encode(self, pixels: Tensor) -> Tensor:
        """Latents of pictures, unscaled: (batch, channels, 16, 16)."""
        return cast(Tensor, self.vae.encode(pixels).latent_dist.mean.float())

    def encode_masked(self, pixels: Tensor, rng: random.Random) -> Tensor:
        """Random masks, and latents of the pictures with gray there: (batch, MASKS, 1 + channels, 16, 16).

        ``rng`` must not be the stream that draws the scenes: later drawings would differ from those whose latents the
        denoiser learns.
        """
        chosen = [masks(len(pixels), rng) for _ in range(MASKS)]
        parts = [(interpolate(mask, (SIDE, SIDE)), self.encode(pixels * (1 - mask))) for mask in chosen]
        return torch.stack([torch.cat(part, dim=1) for part in parts], dim=1)

    def cached(
        self, name: str, scenes: Sequence[Scene], rng: random.Random, encode: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """What ``encode`` makes of drawings of the scenes, taken from the cache if it is there."""
        file = self.folder / f"{name}-{self.vae.config.latent_channels}-{len(scenes)}-{self.seed}.pt"
        if not file.exists():
            batches = (scenes[i : i + BATCH] for i in range(0, len(scenes), BATCH))
            part = file.with_suffix(".part")
            torch.save(torch.cat([encode(pictures(batch, rng)) for batch in batches]), part)
            part.replace(file)
        return cast(Tensor, torch.load(file, weights_only=True))


@torch.no_grad()
def encode_drawings(
    vae: AutoencoderKL,
    folder: Path,
    *,
    count: int,
    seed: int,
    partly: int = 0,
    masked: bool = False,
    rescale: bool = True,
) -> Drawings:
    """Draws random scenes and encodes them.

    Args:
        vae: the autoencoder.
        folder: where the latents are cached; a resumed training takes them from there.
        count: number of scenes whose captions name everything.
        seed: of all random choices.
        partly: number of further scenes with partly named things.
        masked: whether to encode the drawings through masks, too.
        rescale: whether to set the autoencoder's scaling factor (and its shift, if it has one) from these latents. If
            not, the latents are scaled by the ones it has.
    """
    encoder, rng = DrawingEncoder(vae, folder, seed), random.Random(f"{seed} drawings")
    scenes = [random_scene(rng) for _ in range(count)]
    same = copy.copy(rng)
    latents = encoder.cached("latents", scenes, rng, encoder.encode)
    if rescale:
        shift = None if vae.config.shift_factor is None else float(latents.mean())
        vae.register_to_config(scaling_factor=1 / float(latents.std()), shift_factor=shift)
    encode_masked = partial(encoder.encode_masked, rng=random.Random(f"{seed} masks"))
    seen = encoder.cached("masked", scenes, same, encode_masked) if masked else None
    rng = random.Random(f"{seed} partly named")
    more = [partly_named(random_scene(rng), rng) for _ in range(partly)]
    if more:
        latents = torch.cat([latents, encoder.cached("partly-named", more, rng, encoder.encode)])
    shift, factor = vae.config.shift_factor or 0.0, vae.config.scaling_factor
    if seen is not None:
        seen[:, :, 1:] = (seen[:, :, 1:] - shift) * factor
    return Drawings([*scenes, *more], (latents - shift) * factor, seen)
