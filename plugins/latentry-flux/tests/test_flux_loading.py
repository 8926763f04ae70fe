"""Loading FLUX.1: the right numbers, or one clear error."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.models import copied, edit, edit_weights, truncate

from latentry import Flow, ModelError, ModelFiles, OptionError, Prediction
from latentry.models import PromptSettings
from latentry_flux.checkpoint import open_checkpoint
from latentry_flux.model import Flux

CPU = torch.device("cpu")
TRANSFORMER = Path("transformer/diffusion_pytorch_model.safetensors")
VAE = Path("vae/diffusion_pytorch_model.safetensors")
TEXTS = tuple(Path(f"text_encoder{n}/model.safetensors") for n in ("", "_2"))
SETTINGS = PromptSettings(64, 64, guidance=3.5)
Spoil = Callable[[Path], object]


def test_the_process_comes_from_the_configuration(folder: Path) -> None:
    noise = open_checkpoint(ModelFiles(folder), "dev").noise
    assert noise.prediction is Prediction.FLOW
    assert noise.process == Flow()


def test_devs_shift_grows_with_the_picture_and_schnell_has_none(folders: dict[str, Path], tmp_path: Path) -> None:
    """μ is 0.5 at 256 tokens, 1.15 at 4096 and linear in them; a token is 2 × 2 latents of 4 × 4 pixels here."""
    for variant in ("dev", "fill"):
        checkpoint = open_checkpoint(ModelFiles(folders[variant]), variant)
        assert checkpoint.shift(128, 128) == pytest.approx(math.exp(0.5))
        assert checkpoint.shift(512, 512) == pytest.approx(math.exp(1.15))
        assert checkpoint.shift(256, 272) == pytest.approx(math.exp(0.5 + 0.65 * (32 * 34 - 256) / 3840))
    assert open_checkpoint(ModelFiles(folders["schnell"]), "schnell").shift(512, 512) == 1.0
    other = copied(folders["dev"], tmp_path / "other")
    edit(other / "scheduler" / "scheduler_config.json", max_shift=2.0, time_shift_type="linear")
    assert open_checkpoint(ModelFiles(other), "dev").shift(512, 512) == pytest.approx(2.0)


def test_every_tensor_of_the_files_is_used_with_its_value(folder: Path, model: Flux) -> None:
    total = 0
    networks = (model.transformer, model.vae, model.clip.encoder, model.t5.encoder)
    for file, network in zip((TRANSFORMER, VAE, *TEXTS), networks, strict=True):
        tensors, found = load_file(folder / file), network.state_dict()
        total += len(found)
        assert all(torch.equal(tensors[key], found[key]) for key in tensors)
        assert set(found) - set(tensors) <= {"encoder.embed_tokens.weight"}  # T5's second name for shared.weight
    assert (model.report.used, model.report.missing, model.report.unexpected) == (total, (), ())


SPOILT: dict[str, tuple[Spoil, str]] = {
    "transformer lacks a tensor": (
        lambda f: edit_weights(f / TRANSFORMER, drop="context_embedder.weight"),
        "lacks context_embedder.weight",
    ),
    "transformer of another shape": (
        lambda f: edit_weights(f / TRANSFORMER, reshape="context_embedder.weight"),
        "context_embedder.weight",
    ),
    "transformer cut short": (lambda f: truncate(f / TRANSFORMER), "transformer"),
    "T5 cut short": (lambda f: truncate(f / TEXTS[1]), "text.encoder.2"),
    "no T5 weights": (lambda f: (f / TEXTS[1]).unlink(), "text_encoder_2 holds no weights"),
    "no T5 tokenizer": (lambda f: [each.unlink() for each in (f / "tokenizer_2").iterdir()], "tokenizer_2"),
    "T5 of another width": (
        lambda f: edit(f / "text_encoder_2" / "config.json", d_model=64),
        "joint_attention_dim is 48, and T5's d_model is 64",
    ),
    "CLIP of another width": (
        lambda f: edit(f / "text_encoder" / "config.json", hidden_size=64),
        "pooled_projection_dim is 32, and CLIP's hidden_size is 64",
    ),
    "autoencoder of another model": (
        lambda f: edit(f / "vae" / "config.json", latent_channels=4),
        "in_channels is 64, and what dev needs is 16",
    ),
    "Fill under dev's name": (
        lambda f: edit(f / "transformer" / "config.json", in_channels=192),
        "in_channels is 192, and what dev needs is 64",
    ),
    "schnell under dev's name": (
        lambda f: edit(f / "transformer" / "config.json", guidance_embeds=False),
        "guidance_embeds is False, and dev's is True",
    ),
    "no transformer configuration": (
        lambda f: (f / "transformer" / "config.json").unlink(),
        "config.json cannot be read",
    ),
    "no picture size": (lambda f: edit(f / "vae" / "config.json", sample_size=None), "sample_size"),
    "no scheduler configuration": (lambda f: (f / "scheduler" / "scheduler_config.json").unlink(), "scheduler_config"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_spoilt_checkpoint_is_one_clear_error(folder: Path, tmp_path: Path, what: str) -> None:
    spoil, message = SPOILT[what]
    spoilt = copied(folder, tmp_path / "spoilt")
    spoil(spoilt)
    with pytest.raises(ModelError, match=message) as caught:
        open_checkpoint(ModelFiles(spoilt), "dev").load(CPU, torch.float32)
    assert caught.value.remedy
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("changes", [{"time_shift_type": "odd"}, {"base_shift": "a"}, {"max_image_seq_len": 256}])
def test_a_shift_that_is_none_is_refused(folder: Path, tmp_path: Path, changes: dict[str, object]) -> None:
    spoilt = copied(folder, tmp_path / "spoilt")
    edit(spoilt / "scheduler" / "scheduler_config.json", **changes)
    with pytest.raises(ModelError, match="does not give a time shift"):
        open_checkpoint(ModelFiles(spoilt), "dev").shift(64, 64)


@pytest.mark.parametrize(
    ("width", "height", "shape"), [(64, 64, (16, 16, 16)), (96, 64, (16, 16, 24)), (8, 8, (16, 2, 2))]
)
def test_a_size_becomes_a_latent_that_can_be_drawn(
    model: Flux, width: int, height: int, shape: tuple[int, int, int]
) -> None:
    assert model.latent_shape(width, height) == shape
    latents = torch.zeros(1, *shape)
    assert model.predict(latents, 1.0, model.encode_prompt(["a"], SETTINGS)).shape == latents.shape
    assert model.decode(latents).shape == (1, 3, height, width)


@pytest.mark.parametrize(("width", "height"), [(60, 64), (64, 63), (4, 64), (0, 0)])
def test_a_size_that_cannot_be_is_refused_with_the_nearest(folder: Path, width: int, height: int) -> None:
    checkpoint = open_checkpoint(ModelFiles(folder), "dev")
    with pytest.raises(OptionError, match=f"cannot draw {width}×{height}") as caught:
        checkpoint.latent_shape(width, height)
    width, height = caught.value.remedy.partition(";")[0].removeprefix("Use ").split("×")
    near = int(width), int(height)
    assert len(checkpoint.latent_shape(*near)) == 3
    assert "64×64" in caught.value.remedy


def test_pictures_go_to_latents_and_back_in_the_same_units(model: Flux) -> None:
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mode = model.vae.encode(pixels).latent_dist.mode()
    assert torch.allclose(model.encode(pixels), (mode - 0.1159) * 0.3611, atol=1e-6)
    assert torch.allclose(model.decode(model.encode(pixels)), model.vae.decode(mode).sample, rtol=1e-4, atol=1e-5)
