"""What the judge looks at: pictures and edits made by Latentry, by diffusers, and by the autoencoder alone.

Each function here loads a model once and returns a function that makes pictures with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from latentry_shapes.edits import Edit
from latentry_shapes.scenes import SIZE

Picture = Image.Image
Painter = Callable[[Sequence[str], int], list[Picture]]
"""Makes one picture for each prompt, from a seed."""
Editor = Callable[[Sequence[Edit], int], list[Picture]]
"""Makes one picture for each edit, from a seed."""
Reconstruct = Callable[[Sequence[Picture]], list[Picture]]
"""Encodes and decodes pictures."""

CHUNK = 20
"""Pictures in a batch."""


def _settings(model: str, scheduler: str, steps: int, guidance: float | None) -> dict[str, Any]:
    chosen = {} if guidance is None else {"guidance": guidance}
    return {"model": model, "scheduler": scheduler, "steps": steps, **chosen}


def engine_painter(
    model: str, *, scheduler: str, steps: int, guidance: float | None, inpainting: bool = False
) -> Painter:
    """Paints with Latentry and the plugins that are installed.

    Args:
        model: folder or installed name.
        scheduler: its name.
        steps: of the scheduler.
        guidance: the guidance scale, None for the model's default.
        inpainting: for an inpainting model, which then redraws the whole of a gray picture.
    """
    from latentry import Engine, GenerationRequest, PluginHost

    engine = Engine(PluginHost())
    settings = _settings(model, scheduler, steps, guidance) | {"batch": CHUNK}
    inputs: dict[str, Any] = {}
    if inpainting:
        settings["strength"] = 1.0
        inputs = {"init_image": Image.new("RGB", (SIZE, SIZE), "grey"), "mask": Image.new("L", (SIZE, SIZE), 255)}

    def paint(prompts: Sequence[str], seed: int) -> list[Picture]:
        request = GenerationRequest(prompt=tuple(prompts), seed=seed, **settings)
        return list(engine.generate(request, **inputs).images)

    return paint


def engine_editor(model: str, *, scheduler: str, steps: int, guidance: float | None) -> Editor:
    """Edits with Latentry. For the arguments see ``engine_painter``."""
    from latentry import Engine, GenerationRequest, PluginHost

    engine = Engine(PluginHost())
    settings = _settings(model, scheduler, steps, guidance) | {"strength": 1.0}

    def edit(edits: Sequence[Edit], seed: int) -> list[Picture]:
        made: list[Picture] = []
        for i, each in enumerate(edits):
            request = GenerationRequest(prompt=each.asked.caption(), seed=seed + i, **settings)
            made += engine.generate(request, init_image=each.picture, mask=each.mask).images
        return made

    return edit


def pipeline_editor(model: Path, *, steps: int, guidance: float | None) -> Editor:
    """Edits with diffusers' inpainting pipeline and the folder's own scheduler.

    With an inpainting network that pipeline neither blends in the kept part nor pastes it back, so that its pictures
    show what the network itself makes of the mask.

    Args:
        model: folder.
        steps: of the scheduler.
        guidance: the guidance scale, None for the pipeline's default.
    """
    import torch
    from diffusers import StableDiffusionInpaintPipeline

    pipeline = StableDiffusionInpaintPipeline.from_pretrained(model, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    chosen = {} if guidance is None else {"guidance_scale": guidance}

    def edit(edits: Sequence[Edit], seed: int) -> list[Picture]:
        made: list[Picture] = pipeline(
            [each.asked.caption() for each in edits],
            image=[each.picture for each in edits],
            mask_image=[each.mask for each in edits],
            height=SIZE,
            width=SIZE,
            strength=1.0,
            num_inference_steps=steps,
            generator=torch.Generator().manual_seed(seed),
            **chosen,
        ).images
        return made

    return edit


def reconstruction(model: Path) -> Reconstruct:
    """Encodes with the autoencoder of a model folder, takes the mean of the latents, and decodes it."""
    import torch
    from diffusers import AutoencoderKL
    from diffusers.image_processor import VaeImageProcessor

    vae = AutoencoderKL.from_pretrained(model / "vae", local_files_only=True).float()
    processor = VaeImageProcessor(vae_scale_factor=1)

    @torch.no_grad()
    def reconstruct(pictures: Sequence[Picture]) -> list[Picture]:
        decoded: list[Picture] = []
        for start in range(0, len(pictures), CHUNK):
            pixels = processor.preprocess(list(pictures[start : start + CHUNK]))
            decoded += processor.postprocess(vae.decode(vae.encode(pixels).latent_dist.mean).sample)
        return decoded

    return reconstruct
