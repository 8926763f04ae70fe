"""Pipelines with a ControlNet for SDXL, SD3 and FLUX: small random networks, our Euler and theirs on one grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import diffusers
import pytest
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from PIL import Image
from support.controlnets import outlines, write_controlnet, write_flux_controlnet, write_sd3_controlnet
from support.models_flux import write_flux
from support.models_sd3 import write_stable_diffusion_3
from support.models_sdxl import write_stable_diffusion_xl
from support.parts import TOKENS

from latentry import IncompatibleError
from latentry_bridge_diffusers import scheduler

SHOWN = outlines(4)
MODELS: dict[str, tuple[Any, Any, str]] = {
    "sdxl": (write_stable_diffusion_xl, write_controlnet, "ControlNetModel"),
    "sd3": (write_stable_diffusion_3, write_sd3_controlnet, "SD3ControlNetModel"),
    "flux": (write_flux, write_flux_controlnet, "FluxControlNetModel"),
}
SHOWN_AS = {"sdxl": "image", "sd3": "control_image", "flux": "control_image"}
CASES = [
    ("sdxl", "StableDiffusionXLControlNetPipeline", ""),
    ("sdxl", "StableDiffusionXLControlNetImg2ImgPipeline", "late"),
    ("sdxl", "StableDiffusionXLControlNetInpaintPipeline", "masked"),
    ("sd3", "StableDiffusion3ControlNetPipeline", ""),
    ("flux", "FluxControlNetPipeline", ""),
    ("flux", "FluxControlNetImg2ImgPipeline", "late"),
    ("flux", "FluxControlNetInpaintPipeline", "masked"),
]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A pipeline of a class, with its family's small model and ControlNet."""
    root, bases = tmp_path_factory.mktemp("models"), {}

    def load(model: str, cls: str) -> Any:
        if model not in bases:
            write, write_net, net = MODELS[model]
            folder: Path = write(root / model)
            control = getattr(diffusers, net).from_pretrained(write_net(root / f"{model}-net", folder))
            bases[model] = diffusers.DiffusionPipeline.from_pretrained(folder, local_files_only=True), control
        base, control = bases[model]
        made = getattr(diffusers, cls).from_pipe(base, controlnet=control)
        made.set_progress_bar_config(disable=True)
        return made

    return load


def _latents(pipe: Any, model: str, mode: str) -> torch.Tensor:
    given: dict[str, Any] = {"prompt": "a red circle", "height": 64, "width": 64, "num_inference_steps": 5}
    given |= {"output_type": "latent", "guidance_scale": 3.0, "generator": torch.Generator().manual_seed(7)}
    given |= {} if model == "sdxl" else {"max_sequence_length": TOKENS}
    if mode:
        given |= {"image": Image.new("RGB", (64, 64), "green"), "control_image": SHOWN, "strength": 0.6}
    else:
        given[SHOWN_AS[model]] = SHOWN
    if mode == "masked":
        given["mask_image"] = Image.linear_gradient("L").resize((64, 64)).point(lambda level: 255 * (level > 127))
    with patch.object(
        DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode()
    ):  # unseeded in SD3
        return pipe(**given).images  # type: ignore[no-any-return]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "cls", "mode"), CASES, ids=[cls for _, cls, _ in CASES])
def test_latents_with_a_controlnet_are_the_stock_schedulers(loaded: Any, model: str, cls: str, mode: str) -> None:
    pipe = loaded(model, cls)
    expected = _latents(pipe, model, mode)
    stock = pipe.scheduler
    pipe.scheduler = scheduler("euler", stock, sigmas="stock")
    got = _latents(pipe, model, mode)
    over_alpha = model == "sdxl"  # a stock Euler holds x/α, and every run reaches σ = 0, where both are x₀
    assert torch.allclose(got, expected, atol=1e-3 if over_alpha else 1e-4), (got - expected).abs().max()
    for name in ("unipc", "dpmpp-sde", "euler-ancestral"):
        if name == "dpmpp-sde" and mode == "masked":
            with pytest.raises(IncompatibleError, match="changes the sample"):
                scheduler(name, pipe)
            continue
        pipe.scheduler = scheduler(name, pipe)
        assert _latents(pipe, model, mode).isfinite().all(), name
