"""Recognising Stable Diffusion XL from its configurations alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from safetensors.torch import save_file
from support.models_sdxl import Kind, index

from latentry import ModelError, ModelFiles, PluginHost
from latentry._files._finding._locate import locate
from latentry_sdxl.detect import PARTS, SHARED, detect

HOST = PluginHost(load=("latentry", "latentry-sdxl"))
KINDS: tuple[Kind, ...] = get_args(Kind)
NOISE = {
    "leading": {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "leading"},
    "turbo": {"_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing"},
    "trailing": {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "trailing"},
    "zero-snr": {
        "_class_name": "EulerDiscreteScheduler",
        "timestep_spacing": "trailing",
        "rescale_betas_zero_snr": True,
    },
}


def write(folder: Path, kind: Kind = "base", *, without: str = "", noise: str = "", **unet: Any) -> Path:
    """A folder of configurations."""
    for part in SHARED if kind == "refiner" else PARTS:
        if part != without:
            (folder / part).mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps(index(kind)))
    if without != "unet":
        config = {"in_channels": 9 if kind == "inpainting" else 4} | unet
        (folder / "unet" / "config.json").write_text(json.dumps(config))
    if without != "scheduler":
        scheduler = NOISE[noise or ("turbo" if kind == "turbo" else "leading")]
        (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(scheduler))
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_the_variant_follows_from_the_configurations(tmp_path: Path, kind: Kind) -> None:
    found = detect(ModelFiles(write(tmp_path / "model", kind)))
    assert found is not None
    assert (found.variants, found.missing) == ((kind,), ())
    assert found.score > 0.9
    assert any("StableDiffusionXL" in sentence for sentence in found.evidence)
    located = locate(HOST, str(tmp_path / "model"), None)
    assert (located.family, located.variant.name) == ("latentry-sdxl:sdxl", kind)


def test_another_trailing_scheduler_leaves_base_and_turbo_open(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", noise="trailing")
    with pytest.raises(ModelError, match="can be any of base, turbo") as caught:
        locate(HOST, str(folder), None)
    assert caught.value.field == "variant"
    assert locate(HOST, str(folder), "turbo").variant.name == "turbo"


@pytest.mark.parametrize("noise", ["leading", "trailing"])
def test_a_name_decides_for_turbo(tmp_path: Path, noise: str) -> None:
    folder = write(tmp_path / "model", noise=noise, _name_or_path="stabilityai/sdxl-turbo")
    found = detect(ModelFiles(folder))
    assert found is not None
    assert found.variants == ("turbo",)


def test_metadata_decides_for_turbo(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", noise="trailing")
    about = {"modelspec.architecture": "stable-diffusion-xl-v1-turbo"}
    save_file({"x": torch.zeros(1)}, folder / "unet" / "diffusion_pytorch_model.safetensors", metadata=about)
    found = detect(ModelFiles(folder))
    assert found is not None
    assert found.variants == ("turbo",)


def test_zero_terminal_snr_is_not_a_sign_of_distillation(tmp_path: Path) -> None:
    found = detect(ModelFiles(write(tmp_path / "model", noise="zero-snr")))
    assert found is not None
    assert found.variants == ("base",)


@pytest.mark.parametrize(
    ("unet", "reason"),
    [({"in_channels": 8}, "only networks with 4 channels"), ({"time_cond_proj_dim": 256}, "guidance")],
)
def test_networks_that_cannot_run_are_recognised(tmp_path: Path, unet: dict[str, Any], reason: str) -> None:
    folder = write(tmp_path / "model", **unet)
    found = detect(ModelFiles(folder))
    assert found is not None
    assert found.variants == ()
    with pytest.raises(ModelError, match="not a model that an installed family recognises") as caught:
        locate(HOST, str(folder), None)
    assert reason in caught.value.why


@pytest.mark.parametrize("part", [part for part in PARTS if part != "unet"])
def test_a_missing_part_is_named(tmp_path: Path, part: str) -> None:
    found = detect(ModelFiles(write(tmp_path / "model", without=part)))
    assert found is not None
    assert found.missing == (part,)
    assert found.score < 0.5


def test_without_a_unet_there_is_nothing_to_recognise(tmp_path: Path) -> None:
    assert detect(ModelFiles(write(tmp_path / "model", without="unet"))) is None
    assert detect(ModelFiles(tmp_path / "absent")) is None


@pytest.mark.parametrize("pipeline", ["StableDiffusionPipeline", "StableDiffusion3Pipeline", "FluxPipeline", None])
def test_other_pipelines_are_not_taken(tmp_path: Path, pipeline: str | None) -> None:
    folder = write(tmp_path / "model")
    (folder / "model_index.json").write_text(json.dumps(index("base") | {"_class_name": pipeline}))
    assert detect(ModelFiles(folder)) is None


@pytest.mark.parametrize("content", ["", "{", "[]"])
@pytest.mark.parametrize("file", ["model_index.json", "unet/config.json", "scheduler/scheduler_config.json"])
def test_a_damaged_configuration_does_not_crash(tmp_path: Path, file: str, content: str) -> None:
    folder = write(tmp_path / "model")
    (folder / file).write_text(content)
    found = detect(ModelFiles(folder))
    assert found is None or file.startswith("scheduler")
