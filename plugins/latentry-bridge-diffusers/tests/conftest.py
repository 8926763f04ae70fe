"""The shipped models in diffusers' own pipelines."""

from __future__ import annotations

from functools import cache
from typing import Any

import diffusers
import pytest
import torch

from latentry import PluginHost

PIPELINES = {
    "shapes": "StableDiffusion",
    "shapes-sdxl": "StableDiffusionXL",
    "shapes-sd3": "StableDiffusion3",
    "shapes-flux": "Flux",
}
"""How the names of diffusers' pipelines begin, by model."""
TASKS = {"text-to-image": "Pipeline", "image-to-image": "Img2ImgPipeline", "inpainting": "InpaintPipeline"}


@cache
def _parts(model: str, dtype: torch.dtype) -> Any:
    folder = PluginHost().checkpoints.load(model)()
    first = getattr(diffusers, f"{PIPELINES[model]}Pipeline")
    pipeline = first.from_pretrained(folder, torch_dtype=dtype, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="session")
def pipeline() -> Any:
    """Makes a pipeline of a shipped model for a task, with its own stock scheduler."""

    def make(model: str, task: str = "text-to-image", dtype: torch.dtype = torch.float32) -> Any:
        base = _parts(model, dtype)
        cls = getattr(diffusers, f"{PIPELINES[model]}{TASKS[task]}")
        parts = {**base.components, "force_zeros_for_empty_prompt": base.config.get("force_zeros_for_empty_prompt")}
        made = cls(**{name: part for name, part in parts.items() if name in cls.__init__.__annotations__})
        made.set_progress_bar_config(disable=True)
        return made

    return make


@pytest.fixture(scope="session")
def draw() -> Any:
    """Runs a pipeline to its latents."""

    def run(pipe: Any, model: str, task: str = "text-to-image", **changed: Any) -> torch.Tensor:
        given: dict[str, Any] = {
            "prompt": "a red circle left of a blue square",
            "num_inference_steps": 6,
            "generator": torch.Generator().manual_seed(7),
            "guidance_scale": 1.0,
            "output_type": "latent",
            "height": 64,
            "width": 64,
        }
        if model in ("shapes-flux", "shapes-sd3"):
            given["max_sequence_length"] = 24
        if task != "text-to-image":
            given |= {"image": _picture(), "strength": 0.6}
        if task == "inpainting":
            given["mask_image"] = _mask()
        given |= changed
        if task == "image-to-image" and model in ("shapes", "shapes-sdxl"):
            given.pop("height"), given.pop("width")
        latents: torch.Tensor = pipe(**given).images
        return latents

    return run


def _picture() -> Any:
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(image).ellipse((10, 10, 40, 40), fill="green")
    return image


def _mask() -> Any:
    from PIL import Image, ImageDraw

    image = Image.new("L", (64, 64), 0)
    ImageDraw.Draw(image).rectangle((32, 0, 63, 63), fill=255)
    return image


@pytest.fixture
def picture() -> Any:
    """The picture that image to image begins from."""
    return _picture()


@pytest.fixture
def mask() -> Any:
    """The mask of inpainting: white where it draws."""
    return _mask()
