"""Loading: the right numbers, or one clear error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from support.models import copied, edit, edit_weights, truncate
from support.models_sdxl import Kind

from latentry import ModelError, ModelFiles, OptionError, Prediction, VariancePreserving
from latentry.models import PromptSettings
from latentry_sdxl.checkpoint import open_checkpoint
from latentry_sdxl.model import StableDiffusionXL

CPU = torch.device("cpu")
DIFFUSERS, TRANSFORMERS = "diffusion_pytorch_model.safetensors", "model.safetensors"
Spoil = Callable[[Path], object]


@pytest.mark.parametrize("kind", ["base", "refiner"])
def test_every_tensor_of_the_files_is_used_with_its_value(
    folders: dict[str, Path], models: dict[str, StableDiffusionXL], kind: Kind
) -> None:
    model = models[kind]
    networks = {"unet": model.unet, "vae": model.vae, "text_encoder_2": model.text[-1][0]}
    if kind != "refiner":
        networks["text_encoder"] = model.text[0][0]
    assert len(networks) == 2 + len(model.text)
    total = 0
    for part, network in networks.items():
        file = folders[kind] / part / (TRANSFORMERS if part.startswith("text") else DIFFUSERS)
        tensors, found = load_file(file), network.state_dict()
        total += len(tensors)
        assert tensors.keys() == found.keys()
        assert all(torch.equal(tensors[key], found[key]) for key in tensors)
        assert not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())
    assert (model.report.used, model.report.missing, model.report.unexpected) == (total, (), ())


def test_the_process_and_the_prediction_come_from_the_configuration(folders: dict[str, Path], tmp_path: Path) -> None:
    noise = open_checkpoint(ModelFiles(folders["base"]), "base").noise
    assert (noise.prediction, noise.process) == (Prediction.EPSILON, VariancePreserving.from_betas())
    assert noise.demand is None
    other = copied(folders["base"], tmp_path / "other")
    edit(other / "scheduler" / "scheduler_config.json", prediction_type="v_prediction", beta_end=0.02)
    noise = open_checkpoint(ModelFiles(other), "base").noise
    assert (noise.prediction, noise.process) == (Prediction.V, VariancePreserving.from_betas(end=0.02))


def test_turbo_demands_the_timesteps_it_was_distilled_for(folders: dict[str, Path]) -> None:
    demand = open_checkpoint(ModelFiles(folders["turbo"]), "turbo").noise.demand
    assert demand is not None
    assert demand.name == "latentry:trailing"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "told", "vae"),
    [
        (torch.float16, None, torch.float32),
        (torch.float16, False, torch.float16),
        (torch.float16, True, torch.float32),
        (torch.bfloat16, True, torch.bfloat16),
    ],
    ids=str,
)
def test_the_autoencoder_leaves_float16_where_it_would_overflow(
    folders: dict[str, Path], tmp_path: Path, dtype: torch.dtype, told: bool | None, vae: torch.dtype
) -> None:
    folder = copied(folders["base"], tmp_path / "other")
    edit(folder / "vae" / "config.json", force_upcast=told)
    model = open_checkpoint(ModelFiles(folder), "base").load(CPU, dtype)
    assert (model.dtype, model.vae.dtype) == (dtype, vae)
    assert {encoder.dtype for encoder, _ in model.text} == {dtype}
    conditioning = model.encode_prompt(["a"], PromptSettings(64, 64))
    assert conditioning["text"].dtype == dtype
    output = model.predict(torch.randn(1, 4, 16, 16), 500.0, conditioning)
    assert output.dtype == dtype
    assert model.decode(output).dtype == model.encode(model.decode(output)).dtype == torch.float32


SPOILT: dict[str, tuple[Spoil, str]] = {
    **{
        f"{part} lacks a tensor": (lambda f, part=part: _drop(f / part), f"{part} do not fit .*lacks")
        for part in ("unet", "vae", "text_encoder", "text_encoder_2")
    },
    "second text encoder cut short": (lambda f: truncate(f / "text_encoder_2" / TRANSFORMERS), "text_encoder_2"),
    "no weights": (lambda f: (f / "text_encoder_2" / TRANSFORMERS).unlink(), "text_encoder_2 holds no weights"),
    "no second tokenizer": (
        lambda f: (f / "tokenizer_2" / "tokenizer.json").unlink(),
        "tokenizer_2 does not hold a vocabulary",
    ),
    "a tokenizer of another model": (
        lambda f: edit(f / "tokenizer_2" / "tokenizer.json", added_tokens=[_token(i) for i in range(900, 1900)]),
        "does not belong to the text encoder",
    ),
    "a text encoder of another model": (
        lambda f: edit(f / "text_encoder" / "config.json", hidden_size=64),
        "do not belong together(.|\n)*cross-attention is 80, and the width of the text states is 112",
    ),
    "a projection of another model": (
        lambda f: edit(f / "text_encoder_2" / "config.json", projection_dim=40),
        "do not belong together(.|\n)*time ids is 7",
    ),
    "a projection of another width": (
        lambda f: edit(f / "text_encoder_2" / "config.json", projection_dim=45),
        "do not belong together(.|\n)*time ids is 0",
    ),
    "no projection": (lambda f: edit(f / "text_encoder_2" / "config.json", projection_dim=None), "projection_dim"),
    "no size": (lambda f: edit(f / "unet" / "config.json", sample_size=None), "sample_size"),
    "no autoencoder configuration": (lambda f: (f / "vae" / "config.json").unlink(), "cannot be read"),
    "no scheduler configuration": (lambda f: (f / "scheduler" / "scheduler_config.json").unlink(), "scheduler_config"),
}


def _drop(part: Path) -> None:
    file = next(part.glob("*.safetensors"))
    edit_weights(file, drop=sorted(load_file(file))[0])


def _token(number: int) -> dict[str, object]:
    marks = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    return {"id": number, "content": f"<more-{number}>", **marks}


@pytest.mark.slow
@pytest.mark.parametrize("what", SPOILT)
def test_a_spoilt_checkpoint_is_one_clear_error(folders: dict[str, Path], tmp_path: Path, what: str) -> None:
    spoil, message = SPOILT[what]
    spoilt = copied(folders["base"], tmp_path / "spoilt")
    spoil(spoilt)
    with pytest.raises(ModelError, match=message) as caught:
        open_checkpoint(ModelFiles(spoilt), "base").load(CPU, torch.float32)
    assert caught.value.remedy
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(("kind", "variant"), [("base", "inpainting"), ("inpainting", "base"), ("base", "refiner")])
def test_a_wrong_variant_is_refused_before_weights_load(folders: dict[str, Path], kind: Kind, variant: str) -> None:
    with pytest.raises(ModelError, match="do not belong together"):
        open_checkpoint(ModelFiles(folders[kind]), variant)


@pytest.mark.parametrize("kind", ["base", "inpainting"])
def test_a_size_becomes_a_latent(folders: dict[str, Path], kind: Kind) -> None:
    checkpoint = open_checkpoint(ModelFiles(folders[kind]), kind)
    assert checkpoint.size == 64
    assert checkpoint.latent_shape(96, 64) == (4, 16, 24)
    assert checkpoint.latent_shape(8, 8) == (4, 2, 2)


@pytest.mark.parametrize(("width", "height"), [(60, 64), (64, 63), (4, 64), (0, 0)])
def test_a_size_that_cannot_be_is_refused_with_the_nearest(folders: dict[str, Path], width: int, height: int) -> None:
    checkpoint = open_checkpoint(ModelFiles(folders["base"]), "base")
    with pytest.raises(OptionError, match=f"cannot draw {width}×{height}") as caught:
        checkpoint.latent_shape(width, height)
    width, height = caught.value.remedy.partition(";")[0].removeprefix("Use ").split("×")
    near = int(width), int(height)
    assert len(checkpoint.latent_shape(*near)) == 3
    assert "64×64" in caught.value.remedy
