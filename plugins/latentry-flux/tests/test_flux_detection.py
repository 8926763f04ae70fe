"""Recognising FLUX.1 from its configurations alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.models_flux import index

from latentry import ModelError, ModelFiles, PluginHost
from latentry._files._finding._locate import locate
from latentry_flux.detect import PARTS, detect
from latentry_flux.variants import CONTROLLED, TRANSFORMERS

HOST = PluginHost(load=("latentry", "latentry-flux"))


def write(folder: Path, *, without: str = "", pipeline: str = "FluxPipeline", **transformer: Any) -> Path:
    """A folder of configurations."""
    for part in PARTS:
        if part != without:
            (folder / part).mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps({**index(), "_class_name": pipeline}))
    if without != "transformer":
        config = {"_class_name": "FluxTransformer2DModel", "in_channels": 64, "guidance_embeds": True} | transformer
        (folder / "transformer" / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("variant", TRANSFORMERS)
def test_the_published_configurations_are_recognised(tmp_path: Path, variant: str) -> None:
    folder = write(tmp_path / "model", **TRANSFORMERS[variant])
    found = detect(ModelFiles(folder))
    assert found is not None
    assert found.variants == (CONTROLLED if variant in CONTROLLED else (variant,))
    assert found.score > 0.9
    assert any("FluxPipeline" in sentence for sentence in found.evidence)
    assert locate(HOST, str(folder), variant).variant.name == variant


def test_edges_and_depth_are_not_told_apart_by_their_shapes(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", pipeline="FluxControlPipeline", **TRANSFORMERS["canny"])
    with pytest.raises(ModelError, match="canny") as caught:
        locate(HOST, str(folder), None)
    assert "depth" in str(caught.value)


@pytest.mark.parametrize("pipeline", ["FluxFillPipeline", "FluxImg2ImgPipeline", "FluxInpaintPipeline"])
def test_the_network_decides_whatever_the_pipeline(tmp_path: Path, pipeline: str) -> None:
    found = detect(ModelFiles(write(tmp_path / "model", pipeline=pipeline)))
    assert found is not None
    assert found.variants == ("dev",)


@pytest.mark.parametrize(
    ("pipeline", "transformer"),
    [
        ("FluxKontextPipeline", {}),
        ("FluxPriorReduxPipeline", {}),
        ("FluxControlPipeline", {"in_channels": 96, "out_channels": 64}),
        ("FluxControlPipeline", {"in_channels": 128, "out_channels": 64, "guidance_embeds": False}),
        ("FluxPipeline", {"in_channels": "many", "out_channels": 64}),
        ("FluxFillPipeline", {"in_channels": 384, "out_channels": 64, "guidance_embeds": False}),
    ],
    ids=str,
)
def test_other_networks_are_recognised_and_not_run(tmp_path: Path, pipeline: str, transformer: dict[str, Any]) -> None:
    folder = write(tmp_path / "model", pipeline=pipeline, **transformer)
    found = detect(ModelFiles(folder))
    assert found is not None
    assert found.variants == ()
    with pytest.raises(ModelError) as caught:
        locate(HOST, str(folder), None)
    assert "supported" in caught.value.why


@pytest.mark.parametrize(
    ("pipeline", "transformer"),
    [
        ("StableDiffusion3Pipeline", {}),
        ("Flux2Pipeline", {"_class_name": "Flux2Transformer2DModel"}),
        ("FluxPipeline", {"_class_name": None}),
    ],
    ids=str,
)
def test_other_pipelines_are_not_taken(tmp_path: Path, pipeline: str, transformer: dict[str, Any]) -> None:
    assert detect(ModelFiles(write(tmp_path / "model", pipeline=pipeline, **transformer))) is None


@pytest.mark.parametrize("part", [part for part in PARTS if part != "transformer"])
def test_a_missing_part_is_named(tmp_path: Path, part: str) -> None:
    folder = write(tmp_path / "model", without=part)
    found = detect(ModelFiles(folder))
    assert found is not None
    assert found.missing == (part,)
    with pytest.raises(ModelError) as caught:
        locate(HOST, str(folder), None)
    assert f"missing: {part}" in caught.value.why


@pytest.mark.parametrize("content", ["", "{", "[]", "3"])
@pytest.mark.parametrize("file", ["model_index.json", "transformer/config.json"])
def test_a_damaged_configuration_does_not_crash(tmp_path: Path, file: str, content: str) -> None:
    folder = write(tmp_path / "model")
    (folder / file).write_text(content)
    assert detect(ModelFiles(folder)) is None
