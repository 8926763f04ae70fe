"""Loading Stable Diffusion 3: the right numbers, or one clear error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.models import PROMPT, copied, edit, edit_weights, truncate

from latentry import Flow, ModelError, ModelFiles, OptionError, Prediction
from latentry.models import PromptSettings
from latentry_sd3.checkpoint import open_checkpoint
from latentry_sd3.model import StableDiffusion3

CPU = torch.device("cpu")
TRANSFORMER = Path("transformer/diffusion_pytorch_model.safetensors")
VAE = Path("vae/diffusion_pytorch_model.safetensors")
TEXTS = tuple(Path(f"text_encoder{n}/model.safetensors") for n in ("", "_2", "_3"))
SETTINGS = PromptSettings(64, 64)
Spoil = Callable[[Path], object]


def test_the_process_and_the_shift_come_from_the_configuration(folder: Path, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(ModelFiles(folder), "sd35-medium")
    assert checkpoint.noise.prediction is Prediction.FLOW
    assert checkpoint.noise.process == Flow()
    assert checkpoint.shift(64, 64) == checkpoint.shift(128, 64) == 3.0
    other = copied(folder, tmp_path / "other")
    edit(other / "scheduler" / "scheduler_config.json", shift=1.5)
    assert open_checkpoint(ModelFiles(other), "sd35-medium").shift(64, 64) == 1.5


def test_every_tensor_of_the_files_is_used_with_its_value(folder: Path, model: StableDiffusion3) -> None:
    assert model.t5 is not None
    encoders = [text.encoder for text in (*model.clips, model.t5)]
    total = 0
    for file, network in ((TRANSFORMER, model.transformer), (VAE, model.vae), *zip(TEXTS, encoders, strict=True)):
        tensors, found = load_file(folder / file), network.state_dict()
        total += len(found)
        assert all(torch.equal(tensors[key], found[key]) for key in tensors)
        tied = {"encoder.embed_tokens.weight"}  # T5's second name for shared.weight
        assert set(found) - set(tensors) <= tied
    assert (model.report.used, model.report.missing, model.report.unexpected) == (total, (), ())


SPOILT: dict[str, tuple[Spoil, str]] = {
    "transformer lacks a tensor": (
        lambda f: edit_weights(f / TRANSFORMER, drop="context_embedder.weight"),
        "lacks context_embedder.weight",
    ),
    "T5 lacks a tensor": (
        lambda f: edit_weights(f / TEXTS[2], drop="encoder.block.0.layer.1.DenseReluDense.wo.weight"),
        "lacks .*wo.weight",
    ),
    "CLIP-G lacks its projection": (
        lambda f: edit_weights(f / TEXTS[1], drop="text_projection.weight"),
        "lacks text_projection.weight",
    ),
    "transformer of another shape": (
        lambda f: edit_weights(f / TRANSFORMER, reshape="context_embedder.weight"),
        "context_embedder.weight",
    ),
    "transformer cut short": (lambda f: truncate(f / TRANSFORMER), "transformer"),
    "no T5 weights": (lambda f: (f / TEXTS[2]).unlink(), "text_encoder_3 holds no weights"),
    "no T5 tokenizer": (lambda f: [each.unlink() for each in (f / "tokenizer_3").iterdir()], "tokenizer_3"),
    "T5 of another width": (
        lambda f: edit(f / "text_encoder_3" / "config.json", d_model=64),
        "joint_attention_dim is 96, and T5's d_model is 64",
    ),
    "CLIP-L of another width": (
        lambda f: edit(f / "text_encoder" / "config.json", projection_dim=768),
        "pooled_projection_dim is 80, .* 816",
    ),
    "CLIP too wide": (
        lambda f: edit(f / "text_encoder_2" / "config.json", hidden_size=1280),
        "hidden_size is 1312, .* 96",
    ),
    "autoencoder of another model": (
        lambda f: edit(f / "vae" / "config.json", latent_channels=4),
        "in_channels is 16, .* latent_channels is 4",
    ),
    "no transformer configuration": (
        lambda f: (f / "transformer" / "config.json").unlink(),
        "config.json cannot be read",
    ),
    "no positions": (lambda f: edit(f / "transformer" / "config.json", pos_embed_max_size=None), "pos_embed_max_size"),
    "no scheduler configuration": (lambda f: (f / "scheduler" / "scheduler_config.json").unlink(), "scheduler_config"),
    "no timesteps": (lambda f: edit(f / "scheduler" / "scheduler_config.json", num_train_timesteps=0), "timesteps"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_spoilt_checkpoint_is_one_clear_error(folder: Path, tmp_path: Path, what: str) -> None:
    spoil, message = SPOILT[what]
    spoilt = copied(folder, tmp_path / "spoilt")
    spoil(spoilt)
    with pytest.raises(ModelError, match=message) as caught:
        open_checkpoint(ModelFiles(spoilt), "sd35-medium").load(CPU, torch.float32)
    assert caught.value.remedy
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("shift", [0, -3.0, "three", None])
def test_a_shift_that_is_none_is_refused(folder: Path, tmp_path: Path, shift: object) -> None:
    spoilt = copied(folder, tmp_path / "spoilt")
    edit(spoilt / "scheduler" / "scheduler_config.json", shift=shift)
    checkpoint = open_checkpoint(ModelFiles(spoilt), "sd35-medium")
    if shift is None:  # absent: diffusers' default
        assert checkpoint.shift(64, 64) == 1.0
        return
    with pytest.raises(ModelError, match="does not give a time shift"):
        checkpoint.shift(64, 64)


@pytest.mark.parametrize(
    ("width", "height", "shape"), [(64, 64, (16, 16, 16)), (128, 64, (16, 16, 32)), (8, 8, (16, 2, 2))]
)
def test_a_size_becomes_a_latent_that_can_be_drawn(
    model: StableDiffusion3, width: int, height: int, shape: tuple[int, int, int]
) -> None:
    assert model.latent_shape(width, height) == shape
    latents = torch.zeros(1, *shape)
    assert model.predict(latents, 1.0, model.encode_prompt(["a"], SETTINGS)).shape == latents.shape
    assert model.decode(latents).shape == (1, 3, height, width)


@pytest.mark.parametrize(("width", "height"), [(60, 64), (64, 63), (4, 64), (0, 0), (136, 64), (64, 4096)])
def test_a_size_that_cannot_be_is_refused_with_the_nearest(folder: Path, width: int, height: int) -> None:
    checkpoint = open_checkpoint(ModelFiles(folder), "sd35-medium")
    with pytest.raises(OptionError, match=f"cannot draw {width}×{height}") as caught:
        checkpoint.latent_shape(width, height)
    width, height = caught.value.remedy.partition(";")[0].removeprefix("Use ").split("×")
    near = int(width), int(height)
    assert len(checkpoint.latent_shape(*near)) == 3
    assert "at most 128" in caught.value.why  # 16 positions of 2 latents of 4 pixels


def test_pictures_go_to_latents_and_back_in_the_same_units(model: StableDiffusion3) -> None:
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mode = model.vae.encode(pixels).latent_dist.mode()
    assert torch.allclose(model.encode(pixels), (mode - 0.0609) * 1.5305, atol=1e-6)
    assert torch.allclose(model.decode(model.encode(pixels)), model.vae.decode(mode).sample, rtol=1e-4, atol=1e-5)


def test_a_skipped_layer_is_left_out(model: StableDiffusion3) -> None:
    """Skipping a block gives what the network gives when that block is the identity."""
    x = torch.randn(1, 16, 16, 16, generator=torch.Generator().manual_seed(5))
    conditioning = model.encode_prompt([PROMPT], SETTINGS)
    assert model.checkpoint.layers == len(model.transformer.transformer_blocks) == 3
    skipped = model.predict(x, 500.0, conditioning, skip_layers=(1,))
    block = model.transformer.transformer_blocks[1]
    plain = block.forward
    block.forward = lambda hidden_states, encoder_hidden_states, **_: (encoder_hidden_states, hidden_states)
    try:
        expected = model.predict(x, 500.0, conditioning)
    finally:
        block.forward = plain
    assert torch.equal(skipped, expected)
    assert not torch.allclose(skipped, model.predict(x, 500.0, conditioning), atol=1e-3)
