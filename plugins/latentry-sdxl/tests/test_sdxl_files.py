"""Recognising Stable Diffusion XL in files of weights, at full size and from headers alone."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.models_sdxl import write_stable_diffusion_xl
from support.published import networks, single_file
from support.sparse import Shapes, shapes_of, write_sparse, write_sparse_gguf, write_sparse_shards

from latentry import Detection, ModelError, ModelFiles, PluginHost
from latentry._files._finding._locate import locate
from latentry_sdxl.detect import detect
from latentry_sdxl.release import ARCHITECTURES

HOST = PluginHost(load=("latentry", "latentry-sdxl"))
EITHER = ("base", "turbo")
"""What headers cannot tell apart."""
POSSIBLE = {"base": EITHER, "turbo": EITHER, "refiner": ("refiner",), "inpainting": ("inpainting",)}
VAE, TOKENIZERS = (
    "the autoencoder: give --vae FILE",
    "the tokenizers, which no such file holds: give --tokenizer FOLDER unless the Hub's cache has them",
)


@cache
def built(variant: str) -> dict[str, Any]:
    return networks("sdxl", variant)


@cache
def whole(variant: str) -> Shapes:
    return single_file("sdxl", variant, built(variant))


def seen(file: Path, **more: Any) -> Detection:
    found = detect(ModelFiles(file, **more))
    assert found is not None
    return found


@pytest.mark.slow
@pytest.mark.parametrize("variant", POSSIBLE)
def test_a_whole_file_is_recognised(tmp_path: Path, variant: str) -> None:
    found = seen(write_sparse(tmp_path / "model.safetensors", whole(variant), dtypes={"first": "F32"}))
    assert (found.kind, found.variants, found.score) == ("model", POSSIBLE[variant], 0.95)
    assert (found.missing, found.prediction) == ((TOKENIZERS,), "epsilon")


@pytest.mark.slow
@pytest.mark.parametrize("variant", POSSIBLE)
@pytest.mark.parametrize("form", ["original", "diffusers", "shards", "gguf"])
def test_a_unet_alone_is_a_model_that_lacks_parts(tmp_path: Path, variant: str, form: str) -> None:
    unet = built(variant)["unet"]
    original = single_file("sdxl", variant, {"unet": unet})
    if form == "shards":
        file = write_sparse_shards(tmp_path, shapes_of(unet))
    elif form == "gguf":
        bare = {name.removeprefix("model.diffusion_model."): shape for name, shape in original.items()}
        file = write_sparse_gguf(tmp_path / "unet.gguf", bare, "sdxl")
    else:
        shapes = original if form == "original" else shapes_of(unet)
        file = write_sparse(tmp_path / "unet.safetensors", shapes)
    found = seen(file)
    assert found.variants == POSSIBLE[variant]
    encoders = ["CLIP-G"] if variant == "refiner" else ["CLIP-L", "CLIP-G"]
    told = [f"the text encoder {encoder}: give --text-encoder FILE" for encoder in encoders]
    assert found.missing == (VAE, *told, TOKENIZERS)
    assert set(found.dtypes) == ({"Q8_0", "float32"} if form == "gguf" else {"float16"})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metadata", "marks", "variants", "prediction"),
    [
        ({}, {}, EITHER, "epsilon"),
        ({"modelspec__architecture": "stable-diffusion-xl-v1-base"}, {}, ("base",), "epsilon"),
        ({"modelspec__architecture": "stable-diffusion-xl-turbo-v1"}, {}, ("turbo",), "epsilon"),
        (
            {"modelspec__architecture": "stable-diffusion-xl-v1-base", "modelspec__title": "Dream XL Turbo"},
            {},
            ("base",),
            "epsilon",
        ),
        ({"modelspec__title": "Dream XL Turbo"}, {}, EITHER, "epsilon"),
        ({}, {"v_pred": ()}, ("base",), "v_prediction"),
        ({"modelspec__prediction_type": "v"}, {"ztsnr": ()}, ("base",), "v_prediction"),
    ],
    ids=str,
)
def test_metadata_decides_where_headers_cannot(
    tmp_path: Path, metadata: dict[str, str], marks: Shapes, variants: tuple[str, ...], prediction: str
) -> None:
    file = write_sparse(tmp_path / "model.safetensors", {**whole("base"), **marks}, **metadata)
    found = seen(file)
    assert (found.variants, found.prediction) == (variants, prediction)
    if len(variants) == 1:
        assert locate(HOST, str(file), None).variant.name == variants[0]
        return
    with pytest.raises(ModelError, match="can be any of base, turbo") as caught:
        locate(HOST, str(file), None)
    assert "modelspec.architecture" in caught.value.why
    assert caught.value.field == "variant"


def test_a_network_that_takes_the_scale_is_recognised_and_not_run(tmp_path: Path) -> None:
    shapes = {**shapes_of(built("base")["unet"]), "time_embedding.cond_proj.weight": (320, 256)}
    found = seen(write_sparse(tmp_path / "unet.safetensors", shapes))
    assert found.variants == ()
    assert any("time_cond_proj_dim" in sentence for sentence in found.evidence)


def test_a_network_of_other_channels_is_recognised_and_not_run(tmp_path: Path) -> None:
    shapes = {**whole("base"), "model.diffusion_model.input_blocks.0.0.weight": (320, 8, 3, 3)}
    found = seen(write_sparse(tmp_path / "model.safetensors", shapes))
    assert found.variants == ()
    assert any("takes 8 channels" in sentence for sentence in found.evidence)


@pytest.mark.parametrize("kind", ["base", "refiner", "inpainting"])
def test_shapes_of_its_own_need_configurations(tmp_path: Path, kind: Any) -> None:
    folder = write_stable_diffusion_xl(tmp_path / "model", kind)
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    found = seen(file)
    assert found.score == 0.8
    assert "the configurations: give --config FOLDER" in found.missing
    assert seen(file, config=folder).variants == (kind,)


def test_stable_diffusion_2_conditioned_on_pictures_is_not_taken(tmp_path: Path) -> None:
    shapes = {**whole("base"), "cond_stage_model.model.positional_embedding": (77, 1024)}
    assert detect(ModelFiles(write_sparse(tmp_path / "model.safetensors", shapes))) is None


@pytest.mark.slow
@pytest.mark.parametrize("variant", POSSIBLE)
def test_a_converted_file_says_which_variant_it_is(tmp_path: Path, variant: str) -> None:
    said = ARCHITECTURES[variant]
    file = write_sparse(tmp_path / "model.safetensors", whole(variant), modelspec__architecture=said)
    assert seen(file).variants == (variant,)
