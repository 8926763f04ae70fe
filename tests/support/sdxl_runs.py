"""Stable Diffusion XL through diffusers' pipelines and through ours, both overheard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from sys import modules
from typing import Any
from unittest.mock import patch

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from latentry import Engine, GenerationRequest
from support.overheard_unet import overhearing_unets
from support.stages import Overheard

STEPS = 20
SCHEDULERS: Mapping[str, Mapping[str, Any]] = {
    "ddim": {"scheduler": "ddim"},
    "euler": {"scheduler": "euler", "sigmas": "leading", "final": "zero"},
    "turbo": {"scheduler": "euler-ancestral", "sigmas": "trailing", "final": "zero", "initial_noise": "sigma"},
}
"""Ours, as diffusers has them: its Euler methods scale the first noise of a trailing grid by σ."""


def draw(count: int = 1, *, height: int = 16, width: int = 16, seed: int = 11) -> Tensor:
    """Standard normal latents, for both sides."""
    return torch.randn((count, 4, height, width), generator=torch.Generator().manual_seed(seed))


def pipeline(kind: Any, folder: Path, scheduler: str, **parts: Any) -> Any:
    """One of diffusers' pipelines over a folder; the folder's own scheduler unless it is to be DDIM."""
    made = kind.from_pretrained(folder, local_files_only=True, torch_dtype=torch.float32, **parts)
    made.set_progress_bar_config(disable=True)
    if scheduler == "ddim":
        made.scheduler = DDIMScheduler.from_config(made.scheduler.config, clip_sample=False, set_alpha_to_one=False)
    return made


@contextmanager
def drawing(peer: Any, noise: Tensor | None) -> Iterator[None]:
    """diffusers draws this noise, and encodes pictures to the mode of the posterior, as we do."""
    module = modules[type(peer).__module__]
    with ExitStack() as stack:
        if noise is not None:
            stack.enter_context(patch.object(module, "randn_tensor", lambda *shape, **options: noise.clone()))
        if hasattr(module, "retrieve_latents"):
            mode = patch.object(module, "retrieve_latents", lambda out, **options: out.latent_dist.mode())
            stack.enter_context(mode)
        yield


def theirs(peer: Any, prompts: Sequence[str], noise: Tensor | None, *, steps: int = STEPS, **options: Any) -> Overheard:
    """diffusers' side."""
    with drawing(peer, noise), overhearing_unets([peer.unet], peer.vae, len(prompts)) as heard:
        peer(list(prompts), num_inference_steps=steps, output_type="pt", **options)
    return heard


def ours(
    engine: Engine,
    folder: Path,
    scheduler: str,
    prompts: Sequence[str],
    noise: Tensor,
    *,
    pictures: Mapping[str, Any] | None = None,
    draws: Any = None,
    **options: Any,
) -> Overheard:
    """Latentry's side; ``pictures`` are ``init_image`` and ``mask``, ``draws`` the scheduler's own noise."""
    settings = {"model": str(folder), "steps": STEPS, "dtype": "float32", **SCHEDULERS[scheduler], **options}
    request, given = GenerationRequest(prompt=tuple(prompts), **settings), pictures or {}
    models: list[Any] = [each.model for each in engine._load(engine.prepare(request, **given))]
    with overhearing_unets([model.unet for model in models], models[0].vae, len(prompts)) as heard:
        engine.generate(request, latents=noise, noise=draws, **given)
    return heard
