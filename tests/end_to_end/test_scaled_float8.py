"""Scaled float8 files: the networks hold weight · scale, and nothing is refused for a part that is not used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.files import original, places
from support.float8 import Convention, scaled_float8
from support.models import PROMPT, write_stable_diffusion
from support.models_flux import write_flux
from support.models_sd3 import write_stable_diffusion_3
from support.models_sdxl import write_stable_diffusion_xl
from torch import Tensor

from latentry import Engine, GenerationRequest, IncompatibleError, ModelError, ModelFiles, PluginHost, inspect_model
from latentry.models import Conversion, PromptSettings
from latentry_diffusers.convert.write import write_checkpoint
from latentry_flux.checkpoint import open_checkpoint as open_flux
from latentry_sd.checkpoint import open_checkpoint as open_sd
from latentry_sd.release import release
from latentry_sd3.checkpoint import open_checkpoint as open_sd3
from latentry_sdxl.checkpoint import open_checkpoint as open_sdxl

CPU = torch.device("cpu")
CONVENTIONS: tuple[Convention, ...] = ("scaled_fp8", "comfy_quant")


class Family(NamedTuple):
    write: Callable[[Path], Path]
    open: Callable[[ModelFiles, str], Any]
    variant: str
    denoiser: str
    prefix: str


FAMILIES: Mapping[str, Family] = {
    "sd": Family(write_stable_diffusion, open_sd, "sd15", "unet", "model.diffusion_model."),
    "sdxl": Family(write_stable_diffusion_xl, open_sdxl, "base", "unet", "model.diffusion_model."),
    "sd3": Family(write_stable_diffusion_3, open_sd3, "sd35-medium", "transformer", "model.diffusion_model."),
    "flux": Family(write_flux, open_flux, "dev", "transformer", ""),
}


def other_parts(folder: Path) -> tuple[tuple[Any, Path], ...]:
    encoders = [("text-encoder", part) for part in sorted(folder.glob("text_encoder*"))]
    return (("vae", folder / "vae"), *encoders)


def state(model: Any) -> dict[str, Tensor]:
    return {f"{part}.{name}": t for part, network in model.networks.items() for name, t in network.state_dict().items()}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: family.write(root / name) for name, family in FAMILIES.items()}


@pytest.mark.parametrize("rows", [False, True], ids=["one scale", "a scale for each row"])
@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("name", FAMILIES)
def test_the_denoiser_holds_weight_times_scale(
    folders: dict[str, Path], tmp_path: Path, name: str, convention: Convention, rows: bool
) -> None:
    family, folder = FAMILIES[name], folders[name]
    tensors = original(folder, family.denoiser, places(name)[family.denoiser])
    stored, values = scaled_float8(tensors, convention, prefix=family.prefix, rows=rows)
    save_file(stored, tmp_path / "scaled.safetensors")
    save_file(values, tmp_path / "values.safetensors")
    made = [
        family.open(ModelFiles(tmp_path / file, other_parts(folder), folder), family.variant).load(CPU, torch.float32)
        for file in ("scaled.safetensors", "values.safetensors")
    ]
    (ours, expected), report = map(state, made), made[0].report
    assert ours.keys() == expected.keys()
    assert all(torch.equal(ours[key], expected[key]) for key in expected)
    assert (report.missing, report.unexpected) == ((), ())
    assert not all(torch.equal(tensors[key], values[key]) for key in tensors)
    settings = PromptSettings(64, 64, guidance=3.5)
    x = torch.randn((1, *made[0].latent_shape(64, 64)), generator=torch.Generator().manual_seed(0))
    outputs = [model.predict(x, 500.0, model.encode_prompt([PROMPT], settings)) for model in made]
    assert torch.equal(*outputs)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_t5_alone_is_read_with_its_scales(folders: dict[str, Path], tmp_path: Path, convention: Convention) -> None:
    folder = folders["flux"]
    tensors = original(folder, "text_encoder_2", places("flux")["text_encoder_2"])
    stored, values = scaled_float8(tensors, convention)
    save_file(stored, tmp_path / "t5.safetensors")
    given = (("text-encoder", tmp_path / "t5.safetensors"), ("text-encoder", folder / "text_encoder"))
    model = open_flux(ModelFiles(folder, given), "dev").load(CPU, torch.float32)  # type: ignore[arg-type]
    found = model.networks["text_encoder_2"].state_dict()
    assert all(torch.equal(found[name], value) for name, value in values.items() if name in found)


def test_inspect_says_so_and_generate_draws_the_picture_of_the_values(folders: dict[str, Path], tmp_path: Path) -> None:
    folder, host = folders["sd"], PluginHost()
    tensors = original(folder, "unet", places("sd")["unet"])
    stored, values = scaled_float8(tensors, "scaled_fp8", prefix="model.diffusion_model.")
    save_file(stored, tmp_path / "scaled.safetensors")
    save_file(values, tmp_path / "values.safetensors")
    found = inspect_model(host, tmp_path / "scaled.safetensors").found
    assert found.variants
    assert "its float8 weights have scales, which are applied when it is loaded" in found.evidence
    drawn = []
    for file in ("scaled.safetensors", "values.safetensors"):
        given = {"vae": str(folder / "vae"), "text_encoders": (str(folder / "text_encoder"),), "config": str(folder)}
        asked = {
            "prompt": PROMPT,
            "steps": 2,
            "seed": 3,
            "width": 64,
            "height": 64,
            "dtype": "float32",
            "device": "cpu",
        }
        drawn.append(Engine(host).generate(GenerationRequest(model=str(tmp_path / file), **asked, **given)).latents)  # type: ignore[arg-type]
    assert torch.equal(*drawn)


def test_a_part_that_is_not_used_does_not_matter(folders: dict[str, Path], tmp_path: Path) -> None:
    """A text encoder packed by bitsandbytes lies in the file, and another is given."""
    folder, host = folders["sd"], PluginHost()
    tensors = {k: v for part, place in places("sd").items() for k, v in original(folder, part, place).items()}
    layer = "cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight"
    file = tmp_path / "model.safetensors"
    save_file({**tensors, f"{layer}.absmax": torch.ones(4)}, file)
    found = inspect_model(host, file).found
    assert "the text encoder CLIP-L: give --text-encoder FILE" in found.missing
    with pytest.raises(ModelError, match=r"text_encoder in .* packed in a way that is not supported") as caught:
        open_sd(ModelFiles(file, config=folder), "sd15")
    assert layer in caught.value.why
    given = ModelFiles(file, (("text-encoder", folder / "text_encoder"),), folder)
    assert open_sd(given, "sd15").load(CPU, torch.float32).report.unexpected == ()


SPOILT: Mapping[str, Callable[[dict[str, Tensor], str], object]] = {
    "a scale for each block": lambda t, layer: t.update({f"{layer}.weight_scale": torch.ones(3)}),
    "scales of scales": lambda t, layer: t.update({f"{layer}.weight_scale_2": torch.ones(1)}),
    "4 bits in bytes": lambda t, layer: t.update({f"{layer}.weight": torch.zeros((4, 4), dtype=torch.uint8)}),
    "8 bits of bitsandbytes": lambda t, layer: t.update({f"{layer}.SCB": torch.ones(3)}),
    "no scale under the mark": lambda t, layer: t.pop(f"{layer}.scale_weight"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_packed_weights_of_another_kind_are_refused_by_both(
    folders: dict[str, Path], tmp_path: Path, what: str
) -> None:
    folder, prefix = folders["sd"], "model.diffusion_model."
    stored, _ = scaled_float8(original(folder, "unet", places("sd")["unet"]), "scaled_fp8", prefix=prefix)
    layer = f"{prefix}time_embed.0"
    SPOILT[what](stored, layer)
    save_file(stored, tmp_path / "unet.safetensors")
    found = inspect_model(PluginHost(), tmp_path / "unet.safetensors").found
    assert found.variants == ()
    assert any(layer in sentence for sentence in found.evidence)
    with pytest.raises(ModelError, match="packed in a way that is not supported") as caught:
        open_sd(ModelFiles(tmp_path / "unet.safetensors", other_parts(folder), folder), "sd15")
    assert layer in caught.value.why


def test_converting_needs_a_dtype_and_applies_the_scales(folders: dict[str, Path], tmp_path: Path) -> None:
    folder, prefix = folders["sd"], "model.diffusion_model."
    stored, values = scaled_float8(original(folder, "unet", places("sd")["unet"]), "comfy_quant", prefix=prefix)
    save_file(stored, tmp_path / "unet.safetensors")
    bundle = open_sd(ModelFiles(tmp_path / "unet.safetensors", other_parts(folder), folder), "sd15").bundle
    with pytest.raises(IncompatibleError, match="quantised weights"):
        write_checkpoint(bundle, release("sd15"), Conversion(tmp_path / "out.safetensors", "single"))
    write_checkpoint(bundle, release("sd15"), Conversion(tmp_path / "out.safetensors", "single", dtype="float32"))
    written = load_file(tmp_path / "out.safetensors")
    assert all(torch.equal(written[name], value) for name, value in values.items())
    assert not any("scale" in name or "comfy_quant" in name for name in written)
