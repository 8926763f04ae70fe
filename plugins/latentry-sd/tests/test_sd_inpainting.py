"""The inpainting network: its inputs and its results."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from support.models import PROMPT, as_wide_as_turbo, copied, write_stable_diffusion

from latentry import Engine, GenerationRequest, IncompatibleError, ModelFiles, PluginHost
from latentry.models import Conditioning, PromptSettings
from latentry_sd.checkpoint import open_checkpoint
from latentry_sd.model import StableDiffusion

HOST = PluginHost(load=("latentry", "latentry-sd", "latentry-ddim", "latentry-ddpm"))


@pytest.fixture(scope="module")
def painter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nine channels."""
    return write_stable_diffusion(tmp_path_factory.mktemp("models") / "painter", inpainting=True)


@pytest.fixture(scope="module")
def painting(painter: Path) -> StableDiffusion:
    """Its networks."""
    return open_checkpoint(ModelFiles(painter), "sd15-inpainting").load(torch.device("cpu"), torch.float32)


def pixels() -> torch.Tensor:
    return torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1


def right_half() -> torch.Tensor:
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 32:] = 1
    return mask


def test_the_network_takes_the_mask_and_the_masked_picture(painting: StableDiffusion) -> None:
    told = painting.inpainting(pixels(), right_half())
    assert told["mask"].shape == (1, 1, 16, 16)
    assert told["mask"][..., :8].eq(0).all()
    assert told["mask"][..., 8:].eq(1).all()
    grey = pixels()
    grey[..., 32:] = 0
    assert torch.equal(told["masked"], painting.encode(grey))
    hidden = pixels()
    hidden[..., 32:] = 0.7
    assert torch.equal(painting.inpainting(hidden, right_half())["masked"], told["masked"])


def test_the_unet_is_shown_sample_mask_and_picture_in_that_order(painting: StableDiffusion) -> None:
    told = painting.inpainting(pixels(), right_half())
    text = painting.encode_prompt([PROMPT], PromptSettings(64, 64))
    x = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    shown = torch.cat([x, told["mask"], told["masked"]], 1)
    expected = painting.unet(shown, 300.0, encoder_hidden_states=text["text"]).sample
    assert torch.allclose(painting.predict(x, 300.0, Conditioning({**text.tensors, **told})), expected, atol=1e-6)


@pytest.mark.slow
def test_it_draws_where_the_mask_is_white(painter: Path) -> None:
    request = GenerationRequest(prompt="a star", model=str(painter), steps=3, seed=1, count=2)
    image, mask = Image.new("RGB", (64, 64), "red"), Image.new("L", (64, 64), 255)
    result = Engine(HOST).generate(request, init_image=image, mask=mask)
    assert result.recipes[0].request.scheduler == "latentry-ddpm:ddpm"
    assert len(result.images) == 2
    other = Engine(HOST).generate(request, init_image=Image.new("RGB", (64, 64), "blue"), mask=mask)
    assert torch.equal(result.latents, other.latents)  # all of it is hidden


@pytest.mark.parametrize("given", [(), ("init_image",)])
def test_without_a_mask_it_is_refused_before_loading(painter: Path, given: tuple[str, ...]) -> None:
    engine = Engine(HOST)
    with pytest.raises(IncompatibleError, match="sd15-inpainting cannot be used for") as caught:
        engine.prepare(
            GenerationRequest(prompt="a", model=str(painter)), **{name: Image.new("RGB", (64, 64)) for name in given}
        )
    assert "a picture and a mask" in caught.value.remedy


def test_turbo_takes_no_guidance(folder: Path, tmp_path: Path) -> None:
    turbo = as_wide_as_turbo(copied(folder, tmp_path / "turbo"))
    request = GenerationRequest(prompt="a", model=str(turbo), variant="sd-turbo", scheduler="ddim", guidance=5)
    with pytest.raises(IncompatibleError, match="sd-turbo cannot be used with a guidance scale of 5"):
        Engine(HOST).prepare(request)
    assert Engine(HOST).prepare(request.model_copy(update={"guidance": None})).request.guidance == 1.0
