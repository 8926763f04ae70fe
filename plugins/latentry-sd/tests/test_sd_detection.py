"""Recognising Stable Diffusion from its configurations alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.models import INDEX

from latentry import ModelError, ModelFiles, PluginHost
from latentry._files._finding._locate import locate
from latentry_sd.detect import PARTS, detect

HOST = PluginHost(load=("latentry", "latentry-sd"))


def write(folder: Path, *, without: str = "", index: dict[str, Any] | None = None, **unet: Any) -> Path:
    """A folder of configurations; the scheduler's keys are given as ``scheduler``."""
    scheduler = unet.pop("scheduler", {"prediction_type": "epsilon"})
    for part in PARTS:
        if part != without:
            (folder / part).mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps(dict(INDEX) if index is None else index))
    if without != "unet":
        (folder / "unet" / "config.json").write_text(json.dumps({"in_channels": 4, "cross_attention_dim": 768} | unet))
    if without != "scheduler":
        (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    return folder


V = {"prediction_type": "v_prediction"}
TRAILING = {"prediction_type": "epsilon", "timestep_spacing": "trailing"}


@pytest.mark.parametrize(
    ("unet", "variant"),
    [
        ({}, "sd15"),
        ({"cross_attention_dim": 96}, "sd15"),
        ({"cross_attention_dim": 1024}, "sd21-base"),
        ({"cross_attention_dim": 1024, "scheduler": V}, "sd21"),
        ({"scheduler": V}, "sd21"),
        ({"in_channels": 9}, "sd15-inpainting"),
        ({"in_channels": 9, "cross_attention_dim": 96}, "sd15-inpainting"),
        ({"in_channels": 9, "cross_attention_dim": 1024}, "sd2-inpainting"),
        ({"cross_attention_dim": 1024, "_name_or_path": "stabilityai/sd-turbo"}, "sd-turbo"),
        (
            {
                "cross_attention_dim": 1024,
                "_name_or_path": "/data/models--stabilityai--sd-turbo/snapshots/1",
                "scheduler": TRAILING,
            },
            "sd-turbo",
        ),
        ({"scheduler": TRAILING}, "sd15"),
    ],
    ids=str,
)
def test_the_variant_follows_from_width_and_prediction(tmp_path: Path, unet: dict[str, Any], variant: str) -> None:
    found = detect(ModelFiles(write(tmp_path / "model", **unet)))
    assert found is not None
    assert found.variants == (variant,)
    assert found.score > 0.9
    assert found.missing == ()
    assert any("StableDiffusionPipeline" in sentence for sentence in found.evidence)
    assert locate(HOST, str(tmp_path / "model"), None).variant.name == variant


@pytest.mark.parametrize(
    "index",
    [
        {"_class_name": "StableDiffusionXLPipeline", "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"]},
        {"_class_name": "StableDiffusionXLPipeline"},
        {"_class_name": "StableDiffusionPipeline", "text_encoder_2": ["x", "y"]},
        {"_class_name": "StableDiffusion3Pipeline"},
        {"_class_name": "FluxPipeline"},
        {},
    ],
    ids=str,
)
def test_other_pipelines_are_not_taken(tmp_path: Path, index: dict[str, Any]) -> None:
    folder = write(tmp_path / "model", index=index)
    assert detect(ModelFiles(folder)) is None
    with pytest.raises(ModelError, match="not a model that an installed family recognises") as caught:
        locate(HOST, str(folder), None)
    assert str(index.get("_class_name", "not named")) in caught.value.why


def test_the_variant_must_be_named_where_files_do_not_tell(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", cross_attention_dim=1024, scheduler=TRAILING)
    found = detect(ModelFiles(folder))
    assert found is not None
    assert found.variants == ("sd21-base", "sd-turbo")
    with pytest.raises(ModelError, match="can be any of sd21-base, sd-turbo") as caught:
        locate(HOST, str(folder), None)
    assert caught.value.field == "variant"
    assert locate(HOST, str(folder), "sd-turbo").variant.guidance_kind == "none"


def test_metadata_of_the_weights_tells(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    folder = write(tmp_path / "model", cross_attention_dim=1024, scheduler=TRAILING)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({"x": torch.zeros(1)}, weights, metadata={"modelspec.architecture": "stable-diffusion-v2-turbo"})
    assert locate(HOST, str(folder), None).variant.name == "sd-turbo"


@pytest.mark.parametrize("name", ["not-turbo-at-all", "me/sd-turbo-merge", "turbo", "/turbo/sd15"])
def test_free_text_does_not_decide_for_turbo(tmp_path: Path, name: str) -> None:
    import torch
    from safetensors.torch import save_file

    folder = write(tmp_path / "model", cross_attention_dim=1024, _name_or_path=name)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({"x": torch.zeros(1)}, weights, metadata={"modelspec.title": "not a Turbo"})
    assert locate(HOST, str(folder), None).variant.name == "sd21-base"


@pytest.mark.parametrize("asked", ["sd21-base", "sd21", "sd-turbo"])
@pytest.mark.parametrize("scheduler", [V, TRAILING, {}], ids=str)
def test_the_variant_that_is_asked_for_counts_where_the_shapes_allow_it(
    tmp_path: Path, asked: str, scheduler: dict[str, Any]
) -> None:
    folder = write(tmp_path / "model", cross_attention_dim=1024, scheduler=scheduler)
    assert locate(HOST, str(folder), asked).variant.name == asked
    for other in ("sd15", "sd2-inpainting"):
        with pytest.raises(ModelError, match=f"{other}"):
            locate(HOST, str(folder), other)


def test_a_network_of_other_channels_is_recognised_and_not_run(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", in_channels=8)
    found = detect(ModelFiles(folder))
    assert found is not None
    assert found.variants == ()
    with pytest.raises(ModelError) as caught:
        locate(HOST, str(folder), None)
    assert "only networks with 4 channels, or 9 for inpainting" in caught.value.why


@pytest.mark.parametrize("part", [part for part in PARTS if part != "unet"])
def test_a_missing_part_is_named(tmp_path: Path, part: str) -> None:
    folder = write(tmp_path / "model", without=part)
    found = detect(ModelFiles(folder))
    assert found is not None
    assert found.missing == (part,)
    with pytest.raises(ModelError) as caught:
        locate(HOST, str(folder), None)
    assert f"missing: {part}" in caught.value.why


def test_without_a_unet_there_is_nothing_to_recognise(tmp_path: Path) -> None:
    assert detect(ModelFiles(write(tmp_path / "model", without="unet"))) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "3"])
@pytest.mark.parametrize("file", ["model_index.json", "unet/config.json"])
def test_a_damaged_configuration_does_not_crash(tmp_path: Path, file: str, content: str) -> None:
    folder = write(tmp_path / "model")
    (folder / file).write_text(content)
    assert detect(ModelFiles(folder)) is None
    with pytest.raises(ModelError):
        locate(HOST, str(folder), None)


def test_what_is_not_a_folder_is_not_recognised(tmp_path: Path) -> None:
    assert detect(ModelFiles(tmp_path / "absent")) is None
    (tmp_path / "file").write_text("x")
    assert detect(ModelFiles(tmp_path / "file")) is None


def test_a_name_that_is_neither_folder_nor_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no model 'nowhere'"):
        locate(HOST, "nowhere", None)


def test_the_users_word_on_the_variant_cannot_stand_against_the_files(tmp_path: Path) -> None:
    folder = str(write(tmp_path / "model"))
    assert locate(HOST, folder, "sd15").variant.name == "sd15"
    with pytest.raises(ModelError, match="is not of the variant sd21: it is sd15") as caught:
        locate(HOST, folder, "sd21")
    assert "it predicts epsilon" in caught.value.why
    with pytest.raises(ModelError, match="has no variant 'sdxl'") as caught:
        locate(HOST, folder, "sdxl")
    assert "sd15, sd15-inpainting, sd21-base, sd21" in caught.value.remedy


def test_recognising_imports_nothing_heavy(tmp_path: Path) -> None:
    folder = write(tmp_path / "model")
    code = (
        "import sys; from pathlib import Path; from latentry import ModelFiles;"
        "from latentry_sd.detect import detect;"
        f"assert detect(ModelFiles(Path({str(folder)!r})));"
        "print([name for name in ('torch', 'diffusers', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
