"""The same request through diffusers' pipelines and through ours, both recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import diffusers
import numpy as np
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from PIL import Image
from torch import Tensor

from latentry import Engine, GenerationRequest
from latentry._generate._kept._prompt_cache import PromptCache
from support.recorded_pipeline import recording_of
from support.recording import Recording

SCHEDULERS: Mapping[str, Mapping[str, Any]] = {
    "ddim": {"scheduler": "DDIMScheduler"},
    "euler": {"scheduler": "euler", "sigmas": "leading", "final": "zero"},
    "turbo": {"scheduler": "euler-ancestral", "sigmas": "trailing", "final": "zero", "initial_noise": "sigma"},
}
"""Settings of ours, as diffusers has them: its Euler methods scale the first noise of a trailing grid by σ."""
PEERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "ddim": ("DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False}),
    "euler": ("EulerDiscreteScheduler", {}),
}
"""Schedulers of diffusers on a checkpoint's configuration, for those that are not the checkpoint's own."""


class Peers:
    """diffusers' pipelines in float32, each folder loaded once."""

    def __init__(self) -> None:
        self._loaded: dict[Path, Any] = {}

    def __call__(self, folder: Path, kind: Any, scheduler: str = "own", **parts: Any) -> Any:
        """A pipeline of a kind, or of the one of ``diffusers.AutoPipeline…`` that fits, on the networks of a folder.

        Args:
            folder: in diffusers' layout.
            kind: a pipeline's class.
            scheduler: of ``PEERS``, or the folder's own.
            parts: in place of the folder's.
        """
        if folder not in self._loaded:
            options = {"local_files_only": True, "torch_dtype": torch.float32}
            self._loaded[folder] = diffusers.DiffusionPipeline.from_pretrained(folder, **options, **_absent(folder))
        loaded = self._loaded[folder]
        pipeline = kind.from_pipe(loaded, **parts)
        pipeline.set_progress_bar_config(disable=True)
        name, options = PEERS.get(scheduler, (type(loaded.scheduler).__name__, {}))
        pipeline.scheduler = getattr(diffusers, name).from_config(loaded.scheduler.config, **options)
        return pipeline


def _absent(folder: Path) -> dict[str, None]:
    """Text encoders that a folder says it lacks; diffusers needs to be told so again."""
    index = json.loads((folder / "model_index.json").read_text())
    return {name: None for name, entry in index.items() if name.startswith(("text", "token")) and entry[0] is None}


def theirs(pipeline: Any, prompts: Sequence[str], **options: Any) -> Recording:
    """diffusers' side; its autoencoder gives the mode of its posterior, as ours does, instead of a sample of it."""
    mode = patch.object(DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode())
    with mode, recording_of([pipeline], len(prompts)) as recorded, _shifted(pipeline):
        pipeline(prompt=list(prompts), output_type="pt", **options)
    return recorded


@contextmanager
def _shifted(pipeline: Any) -> Iterator[None]:
    """The shift of the latents, which diffusers' inpainting with SD3 leaves out where it decodes."""
    with ExitStack() as stack:
        if isinstance(pipeline, diffusers.StableDiffusion3InpaintPipeline):
            vae = pipeline.vae
            decode, shift = vae.decode, vae.config.shift_factor
            stack.enter_context(patch.object(vae, "decode", lambda raw, **options: decode(raw + shift, **options)))
        yield


def ours(
    engine: Engine,
    model: Path | str,
    prompts: Sequence[str],
    latents: Tensor,
    *,
    init_image: Image.Image | None = None,
    mask: Image.Image | None = None,
    noise: Any = None,
    **settings: Any,
) -> Recording:
    """Latentry's side, with what its plugins prefer wherever the settings leave it open; ``noise`` as in ``Engine``."""
    request = GenerationRequest(prompt=tuple(prompts), model=str(model), dtype="float32", **settings)
    pictures: dict[str, Any] = {"init_image": init_image, "mask": mask}
    loaded = engine._studio.models.load(engine.prepare(request, **pictures))
    for each in loaded:
        each.prompts = PromptCache(each.model)  # those of earlier requests are encoded again
    with recording_of([each.model for each in loaded], len(prompts)) as recorded:
        engine.generate(request, latents=latents, noise=noise, **pictures)
    return recorded


def draw(count: int = 1, *, channels: int = 4, height: int = 16, width: int = 16, seed: int = 11) -> Tensor:
    """Standard normal latents: what diffusers draws first from a generator of that seed."""
    return torch.randn((count, channels, height, width), generator=seeded(seed))


def seeded(seed: int = 11) -> torch.Generator:
    """A generator for diffusers' side."""
    return torch.Generator().manual_seed(seed)


def drawing() -> tuple[Image.Image, Image.Image]:
    """A picture of 64 × 64 pixels, squares of many colours, and a mask: a disc with a soft edge and a lone square.

    The mask is in squares of 8 pixels, so that every latent is drawn or kept as a whole: diffusers takes one pixel of
    each, and Latentry draws a latent where any of its pixels is white.
    """
    squares = np.random.default_rng(2).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    y, x = np.mgrid[:8, :8]
    disc = np.clip(255 * (3.2 - np.hypot(x - 3, y - 4)), 0, 255).astype(np.uint8)
    disc[0, 7] = 255
    picture, mask = (Image.fromarray(each).resize((64, 64), Image.Resampling.NEAREST) for each in (squares, disc))
    return picture, mask
