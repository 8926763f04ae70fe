"""Recognising Stable Diffusion in files of weights, at full size and from headers alone."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.models import write_stable_diffusion
from support.published import TRAINED, networks, single_file
from support.sparse import Shapes, shapes_of, write_sparse, write_sparse_shards

from latentry import Detection, ModelError, ModelFiles, PluginHost
from latentry._files._finding._locate import locate
from latentry._files._finding._parts import PartSources
from latentry_sd.detect import detect
from latentry_sd.release import ARCHITECTURES

HOST = PluginHost(load=("latentry", "latentry-sd"))
SECOND = ("sd21-base", "sd21", "sd-turbo")
"""What headers cannot tell apart."""
POSSIBLE = {
    "sd15": ("sd15",),
    "sd15-inpainting": ("sd15-inpainting",),
    "sd2-inpainting": ("sd2-inpainting",),
    **dict.fromkeys(SECOND, SECOND),
}
"""By variant of the file: the variants that its headers alone leave possible."""
TOKENIZERS = "the tokenizers, which no such file holds: give --tokenizer FOLDER unless the Hub's cache has them"


@cache
def built(variant: str) -> dict[str, Any]:
    return networks("sd", variant)


@cache
def whole(variant: str) -> Shapes:
    return {**single_file("sd", variant, built(variant)), **TRAINED}


def seen(file: Path, **more: Any) -> Detection:
    found = detect(ModelFiles(file, **more))
    assert found is not None
    return found


@pytest.mark.slow
@pytest.mark.parametrize("variant", POSSIBLE)
def test_a_whole_file_is_recognised(tmp_path: Path, variant: str) -> None:
    file = write_sparse(tmp_path / "model.safetensors", whole(variant))
    found = seen(file)
    assert (found.kind, found.variants, found.score) == ("model", POSSIBLE[variant], 0.95)
    assert found.missing == (TOKENIZERS,)
    assert found.dtypes == ("float16",)
    assert found.parameters == sum(map(math.prod, whole(variant).values()))
    assert found.size == 2 * found.parameters


@pytest.mark.parametrize("variant", POSSIBLE)
@pytest.mark.parametrize("form", ["bare", "with its prefix", "diffusers", "shards"])
def test_a_unet_alone_is_a_model_that_lacks_parts(tmp_path: Path, variant: str, form: str) -> None:
    unet = built(variant)["unet"]
    original = single_file("sd", variant, {"unet": unet})
    if form == "shards":
        file = write_sparse_shards(tmp_path, shapes_of(unet))
    elif form == "diffusers":
        file = write_sparse(tmp_path / "unet.safetensors", shapes_of(unet))
    else:
        start = "model.diffusion_model." if form == "bare" else ""
        file = write_sparse(
            tmp_path / "unet.sft", {name.removeprefix(start): shape for name, shape in original.items()}
        )
    found = seen(file)
    assert found.variants == POSSIBLE[variant]
    encoder = "CLIP-L" if variant.startswith("sd15") else "OpenCLIP-H"
    assert found.missing == (
        "the autoencoder: give --vae FILE",
        f"the text encoder {encoder}: give --text-encoder FILE",
        TOKENIZERS,
    )


@pytest.mark.parametrize(
    ("metadata", "variants", "prediction"),
    [
        ({}, SECOND, None),
        ({"modelspec__prediction_type": "v"}, ("sd21",), "v_prediction"),
        ({"modelspec__architecture": "stable-diffusion-v2-768-v"}, ("sd21",), "v_prediction"),
        ({"modelspec__architecture": "stable-diffusion-v2-512"}, ("sd21-base",), "epsilon"),
        ({"modelspec__architecture": "stable-diffusion-v2-turbo"}, ("sd-turbo",), "epsilon"),
        ({"modelspec__title": "SD Turbo"}, SECOND, None),
        ({"modelspec__prediction_type": "epsilon"}, ("sd21-base", "sd-turbo"), "epsilon"),
        ({"modelspec__prediction_type": "rectified"}, SECOND, None),
        ({"modelspec__title": "My merge"}, SECOND, None),
    ],
    ids=str,
)
def test_metadata_decides_where_headers_cannot(
    tmp_path: Path, metadata: dict[str, str], variants: tuple[str, ...], prediction: str | None
) -> None:
    file = write_sparse(tmp_path / "model.safetensors", whole("sd21"), **metadata)
    found = seen(file)
    assert (found.variants, found.prediction) == (variants, prediction)
    if len(variants) == 1:
        assert locate(HOST, str(file), None).variant.name == variants[0]
        return
    assert any("modelspec.architecture" in sentence for sentence in found.evidence)
    with pytest.raises(ModelError, match=f"can be any of {', '.join(variants)}") as caught:
        locate(HOST, str(file), None)
    assert caught.value.field == "variant"


@pytest.mark.parametrize(
    ("marks", "metadata", "prediction"),
    [
        ({"v_pred": ()}, {}, "v_prediction"),
        ({"v_pred": (), "ztsnr": ()}, {"modelspec__prediction_type": "epsilon"}, "v_prediction"),
        ({}, {"modelspec__prediction_type": "v"}, "v_prediction"),
        ({}, {}, "epsilon"),
    ],
    ids=str,
)
def test_a_first_generation_network_may_predict_v(
    tmp_path: Path, marks: Shapes, metadata: dict[str, str], prediction: str
) -> None:
    found = seen(write_sparse(tmp_path / "model.safetensors", {**whole("sd15"), **marks}, **metadata))
    assert (found.variants, found.prediction) == (("sd15",), prediction)
    assert any("no signal" in sentence for sentence in found.evidence) == ("ztsnr" in marks)


@pytest.mark.parametrize("channels", [5, 8])
def test_a_network_of_other_channels_is_recognised_and_not_run(tmp_path: Path, channels: int) -> None:
    shapes = {**whole("sd15"), "model.diffusion_model.input_blocks.0.0.weight": (320, channels, 3, 3)}
    file = write_sparse(tmp_path / "model.safetensors", shapes)
    assert seen(file).variants == ()
    with pytest.raises(ModelError) as caught:
        locate(HOST, str(file), None)
    assert f"takes {channels} channels" in caught.value.why
    assert "only networks with 4 channels, or 9 for inpainting" in caught.value.why


def test_a_network_conditioned_on_pictures_is_recognised_and_not_run(tmp_path: Path) -> None:
    shapes = {**whole("sd21"), "model.diffusion_model.label_emb.0.0.weight": (1280, 2048)}
    found = seen(write_sparse(tmp_path / "model.safetensors", shapes))
    assert found.variants == ()
    assert any("unCLIP" in sentence for sentence in found.evidence)


@pytest.mark.parametrize(
    ("name", "shape", "reason"),
    [
        ("model.diffusion_model.time_embed.cond_proj.weight", (320, 256), "time_cond_proj_dim"),
        ("edm_mean", (1, 4, 1, 1), "its noise process is EDM's, as the mark edm_mean says"),
        ("edm_vpred.sigma_max", (), "its noise process is EDM's, as the mark edm_vpred.sigma_max says"),
    ],
)
def test_a_network_of_another_kind_is_recognised_and_not_run(
    tmp_path: Path, name: str, shape: tuple[int, ...], reason: str
) -> None:
    found = seen(write_sparse(tmp_path / "model.safetensors", {**whole("sd15"), name: shape}))
    assert (found.variants, found.score) == ((), 0.3)
    assert reason in found.evidence[-1]


def test_packed_weights_are_recognised_and_not_run(tmp_path: Path) -> None:
    name = "model.diffusion_model.middle_block.1.proj_in.weight"
    found = seen(write_sparse(tmp_path / "model.safetensors", {**whole("sd21"), f"{name}.absmax": (64,)}))
    assert found.variants == ()
    assert f"{name}.absmax" in found.evidence[-1]


def test_shapes_of_its_own_need_configurations(tmp_path: Path) -> None:
    folder = write_stable_diffusion(tmp_path / "model")
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    found = seen(file)
    assert (found.variants, found.score) == (("sd15",), 0.8)
    assert "the configurations: give --config FOLDER" in found.missing
    assert any("no published network" in sentence for sentence in found.evidence)
    told = seen(file, config=folder)
    assert (told.variants, told.missing[-1]) == (("sd15",), "the text encoder CLIP-L: give --text-encoder FILE")
    parts = (("vae", folder / "vae"), ("text-encoder", folder / "text_encoder"))
    assert seen(file, config=folder, parts=parts).missing == ()


def test_configurations_say_the_variant_and_what_it_predicts(tmp_path: Path) -> None:
    folder = write_stable_diffusion(tmp_path / "model", prediction="v_prediction")
    found = seen(folder / "unet" / "diffusion_pytorch_model.safetensors", config=folder)
    assert (found.variants, found.prediction) == (("sd21",), "v_prediction")


def test_configurations_of_another_family_do_not_count(tmp_path: Path) -> None:
    file = write_sparse(tmp_path / "model.safetensors", whole("sd15"))
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    found = seen(file, config=tmp_path)
    assert (found.variants, found.score) == ((), 0.3)
    assert "another family" in found.evidence[-1]
    with pytest.raises(ModelError, match="not a model") as caught:
        locate(HOST, str(file), None, PartSources(config=str(tmp_path)))
    assert "configuration folder" in caught.value.remedy


def test_given_parts_are_not_missing(tmp_path: Path) -> None:
    file = write_sparse(tmp_path / "unet.safetensors", shapes_of(built("sd15")["unet"]))
    clip = write_sparse(tmp_path / "clip.safetensors", shapes_of(built("sd15")["text_encoder"]))
    other = write_sparse(tmp_path / "other.safetensors", shapes_of(built("sd21")["text_encoder"]))
    vae = tmp_path / "vae.safetensors"
    assert seen(file, parts=(("vae", vae), ("text-encoder", clip), ("tokenizer", tmp_path))).missing == ()
    assert seen(file, parts=(("vae", vae), ("text-encoder", other))).missing == (
        "the text encoder CLIP-L: give --text-encoder FILE",
        TOKENIZERS,
    )


@pytest.mark.slow
@pytest.mark.parametrize("family", ["sdxl", "sd3", "flux"])
def test_files_of_other_families_are_not_taken(tmp_path: Path, family: str) -> None:
    variant = {"sdxl": "base", "sd3": "sd3-medium", "flux": "dev"}[family]
    pytest.importorskip(f"latentry_{family}")
    shapes = single_file(family, variant, networks(family, variant))
    file = write_sparse(tmp_path / "model.safetensors", shapes)
    assert detect(ModelFiles(file)) is None


def test_a_folder_names_dtypes_size_and_prediction(tmp_path: Path) -> None:
    found = seen(write_stable_diffusion(tmp_path / "model", prediction="v_prediction"))
    assert (found.dtypes, found.prediction) == (("float32",), "v_prediction")
    assert found.parameters is not None
    assert found.size == 4 * found.parameters


@pytest.mark.slow
def test_parts_given_for_a_folder_are_not_missing(tmp_path: Path) -> None:
    folder = write_stable_diffusion(tmp_path / "model")
    (folder / "vae").rename(tmp_path / "vae")
    (folder / "text_encoder").rename(tmp_path / "text")
    assert seen(folder).missing == ("vae", "text_encoder")
    found = seen(folder, parts=(("vae", tmp_path / "vae"), ("text-encoder", tmp_path / "text")))
    assert (found.missing, found.score) == ((), 0.95)


@pytest.mark.parametrize("variant", POSSIBLE)
def test_a_converted_file_says_which_variant_it_is(tmp_path: Path, variant: str) -> None:
    said = ARCHITECTURES[variant]
    file = write_sparse(tmp_path / "model.safetensors", whole(variant), modelspec__architecture=said)
    assert seen(file).variants == (variant,)
