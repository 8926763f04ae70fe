"""Loading: the right numbers, or one clear error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.models import PROMPT, copied, edit, edit_weights, truncate

from latentry import ModelError, ModelFiles, OptionError, Prediction, VariancePreserving
from latentry.models import PromptSettings
from latentry_diffusers.text.clip_skip import ClipConditioning
from latentry_sd.checkpoint import open_checkpoint
from latentry_sd.model import StableDiffusion

CPU = torch.device("cpu")
SETTINGS = PromptSettings(64, 64)
UNET = Path("unet/diffusion_pytorch_model.safetensors")
VAE = Path("vae/diffusion_pytorch_model.safetensors")
TEXT = Path("text_encoder/model.safetensors")
Spoil = Callable[[Path], object]


def test_the_process_and_the_prediction_come_from_the_configuration(folder: Path, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(ModelFiles(folder), "sd15")
    assert checkpoint.noise.prediction is Prediction.EPSILON
    assert checkpoint.noise.process == VariancePreserving.from_betas()
    other = copied(folder, tmp_path / "other")
    edit(other / "scheduler" / "scheduler_config.json", prediction_type="v_prediction", beta_end=0.02)
    checkpoint = open_checkpoint(ModelFiles(other), "sd21")
    assert checkpoint.noise.prediction is Prediction.V
    assert checkpoint.noise.process == VariancePreserving.from_betas(end=0.02)


def test_every_tensor_of_the_files_is_used_with_its_value(folder: Path, model: StableDiffusion) -> None:
    total = 0
    for file, network in ((UNET, model.unet), (VAE, model.vae), (TEXT, model.text_encoder)):
        tensors = load_file(folder / file)
        found = network.state_dict()
        total += len(tensors)
        assert tensors.keys() == found.keys()
        assert all(torch.equal(tensors[key], found[key]) for key in tensors)
    assert (model.report.used, model.report.missing, model.report.unexpected) == (total, (), ())


def test_a_half_precision_folder_loads_as_float32(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    half = copied(folder, tmp_path / "half")
    for file in (UNET, VAE, TEXT):
        tensors = {key: tensor.half() for key, tensor in load_file(half / file).items()}
        save_file(tensors, half / file, metadata={"format": "pt"})
    model = open_checkpoint(ModelFiles(half), "sd15").load(CPU, torch.float32)
    assert {p.dtype for n in (model.unet, model.vae, model.text_encoder) for p in n.parameters()} == {torch.float32}
    assert (
        model.decode(model.predict(torch.randn(1, 4, 16, 16), 1.0, model.encode_prompt(["a"], SETTINGS)))
        .isfinite()
        .all()
    )


def test_a_tensor_too_many_is_reported(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    more = copied(folder, tmp_path / "more")
    save_file({**load_file(more / UNET), "extra.weight": torch.zeros(2)}, more / UNET, metadata={"format": "pt"})
    assert open_checkpoint(ModelFiles(more), "sd15").load(CPU, torch.float32).report.unexpected == (
        "unet.extra.weight",
    )


SPOILT: dict[str, tuple[Spoil, str]] = {
    "unet lacks a tensor": (lambda f: edit_weights(f / UNET, drop="conv_in.weight"), "lacks conv_in.weight"),
    "vae lacks a tensor": (lambda f: edit_weights(f / VAE, drop="decoder.conv_in.bias"), "lacks decoder.conv_in.bias"),
    "text encoder lacks a tensor": (
        lambda f: edit_weights(f / TEXT, drop=_some_key(f / TEXT, "final_layer_norm.weight")),
        "lacks .*final_layer_norm.weight",
    ),
    "unet of another shape": (lambda f: edit_weights(f / UNET, reshape="conv_in.weight"), "conv_in.weight"),
    "text encoder of another shape": (
        lambda f: edit_weights(f / TEXT, reshape=_some_key(f / TEXT, "final_layer_norm.weight")),
        "final_layer_norm.weight|size mismatch|ignore_mismatched",
    ),
    "unet cut short": (lambda f: truncate(f / UNET), "unet"),
    "text encoder cut short": (lambda f: truncate(f / TEXT), "text.encoder"),
    "no weights": (lambda f: (f / VAE).unlink(), "holds no weights"),
    "no tokenizer files": (lambda f: [each.unlink() for each in (f / "tokenizer").iterdir()], "tokenizer"),
    "a tokenizer of another model": (
        lambda f: edit(f / "text_encoder" / "config.json", vocab_size=100),
        "does not belong to the text encoder|shape|size mismatch|mismatch",
    ),
    "damaged tokenizer": (lambda f: (f / "tokenizer" / "tokenizer.json").write_text("{"), "tokenizer"),
    "no unet configuration": (lambda f: (f / "unet" / "config.json").unlink(), "config.json cannot be read"),
    "damaged vae configuration": (lambda f: (f / "vae" / "config.json").write_text("{"), "config.json cannot be read"),
    "vae configuration without blocks": (
        lambda f: edit(f / "vae" / "config.json", block_out_channels=None),
        "block_out",
    ),
    "unet configuration without size": (lambda f: edit(f / "unet" / "config.json", sample_size=None), "sample_size"),
    "unet configuration of nonsense": (lambda f: edit(f / "unet" / "config.json", down_block_types=["X"]), "unet"),
    "no scheduler configuration": (lambda f: (f / "scheduler" / "scheduler_config.json").unlink(), "scheduler_config"),
    "an inpainting network under another name": (
        lambda f: edit(f / "unet" / "config.json", in_channels=9),
        "in_channels is 9, and what sd15 needs is 4",
    ),
    "text states of another width": (
        lambda f: edit(f / "unet" / "config.json", cross_attention_dim=64),
        "cross-attention is 64, and the width of the text states is 32",
    ),
    "unknown betas": (lambda f: edit(f / "scheduler" / "scheduler_config.json", beta_schedule="odd"), "odd"),
    "a shard that is not there": (lambda f: _shard(f / UNET), "unet"),
}


def _some_key(file: Path, end: str) -> str:
    return next(key for key in load_file(file) if key.endswith(end))


def _shard(file: Path) -> None:
    """The index names two shards, and one of them is missing."""
    keys = list(load_file(file))
    first, second = (f"{file.stem}-0000{i}-of-00002.safetensors" for i in (1, 2))
    weights = {key: first if i % 2 else second for i, key in enumerate(keys)}
    index = {"metadata": {"total_size": 1}, "weight_map": weights}
    (file.parent / f"{file.name}.index.json").write_text(json.dumps(index))
    file.rename(file.parent / first)


@pytest.mark.parametrize("what", SPOILT)
def test_a_spoilt_checkpoint_is_one_clear_error(
    folder: Path, tmp_path: Path, what: str, capfd: pytest.CaptureFixture[str]
) -> None:
    spoil, message = SPOILT[what]
    spoilt = copied(folder, tmp_path / "spoilt")
    spoil(spoilt)
    with pytest.raises(ModelError, match=message) as caught:
        open_checkpoint(ModelFiles(spoilt), "sd15").load(CPU, torch.float32)
    assert caught.value.remedy
    assert len(str(caught.value)) < 700
    out, err = capfd.readouterr()
    assert out == ""
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("width", "height", "shape"), [(64, 64, (4, 16, 16)), (96, 64, (4, 16, 24)), (8, 8, (4, 2, 2))]
)
def test_a_size_becomes_a_latent(folder: Path, width: int, height: int, shape: tuple[int, int, int]) -> None:
    assert open_checkpoint(ModelFiles(folder), "sd15").latent_shape(width, height) == shape


@pytest.mark.parametrize(("width", "height"), [(60, 64), (64, 63), (4, 64), (0, 0)])
def test_a_size_that_cannot_be_is_refused_with_the_nearest(folder: Path, width: int, height: int) -> None:
    checkpoint = open_checkpoint(ModelFiles(folder), "sd15")
    with pytest.raises(OptionError, match=f"cannot draw {width}×{height}") as caught:
        checkpoint.latent_shape(width, height)
    width, height = caught.value.remedy.partition(";")[0].removeprefix("Use ").split("×")
    near = int(width), int(height)
    assert len(checkpoint.latent_shape(*near)) == 3
    assert "64×64" in caught.value.remedy


def test_a_tokenizer_that_does_not_know_its_length_takes_the_encoders(folder: Path, tmp_path: Path) -> None:
    other = copied(folder, tmp_path / "other")
    edit(other / "tokenizer" / "tokenizer_config.json", model_max_length=None)
    model = open_checkpoint(ModelFiles(other), "sd15").load(CPU, torch.float32)
    assert model.encode_prompt(["a"], SETTINGS)["text"].shape[1] == model.text_encoder.config.max_position_embeddings


def test_pictures_go_to_latents_and_back_in_the_same_units(model: StableDiffusion) -> None:
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    posterior = model.vae.encode(pixels).latent_dist
    scale = model.vae.config.scaling_factor
    assert torch.equal(model.encode(pixels), posterior.mode() * scale)
    noise = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    sampled = posterior.sample(generator=torch.Generator().manual_seed(1)) * scale
    assert torch.allclose(model.encode(pixels, noise), sampled, atol=1e-6)
    again = model.vae.decode(posterior.mode()).sample
    assert torch.allclose(model.decode(model.encode(pixels)), again, rtol=1e-4, atol=1e-5)


def test_clip_skip_takes_an_earlier_layer_and_its_norm(model: StableDiffusion) -> None:
    ids = model.tokenizer([PROMPT], padding="max_length", max_length=24, return_tensors="pt").input_ids
    states = model.text_encoder(ids, output_hidden_states=True).hidden_states[-2]
    expected = model.text_encoder.final_layer_norm(states)
    found = model.encode_prompt([PROMPT], PromptSettings(64, 64, own=ClipConditioning(clip_skip=1)))["text"]
    assert torch.allclose(found, expected, atol=1e-6)
    with pytest.raises(OptionError, match="cannot be left out"):
        model.encode_prompt([PROMPT], PromptSettings(64, 64, own=ClipConditioning(clip_skip=2)))
