"""Recognising Stable Diffusion 3 from its configurations and headers alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.models_sd3 import index

from latentry import ModelError, ModelFiles, PluginHost
from latentry._files._finding._locate import locate
from latentry_sd3.detect import PARTS, T5_PARTS, detect

HOST = PluginHost(load=("latentry", "latentry-sd3"))
LARGE = {"qk_norm": "rms_norm"}
MEDIUM = {"qk_norm": "rms_norm", "dual_attention_layers": [0, 1, 2]}


def write(
    folder: Path, *, without: str = "", t5: bool = True, metadata: dict[str, str] | None = None, **transformer: Any
) -> Path:
    """A folder of configurations, with the header of the transformer's weights where there is metadata."""
    for part in (*PARTS, *(T5_PARTS if t5 else ())):
        if part != without:
            (folder / part).mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps(index(t5)))
    if without != "transformer":
        (folder / "transformer" / "config.json").write_text(json.dumps({"in_channels": 16} | transformer))
        if metadata is not None:
            header = json.dumps({"__metadata__": metadata}).encode()
            file = folder / "transformer" / "diffusion_pytorch_model.safetensors"
            file.write_bytes(len(header).to_bytes(8, "little") + header)
    return folder


@pytest.mark.parametrize(
    ("transformer", "variants"),
    [
        ({}, ("sd3-medium",)),
        ({"qk_norm": None, "dual_attention_layers": []}, ("sd3-medium",)),
        (MEDIUM, ("sd35-medium",)),
        (LARGE, ("sd35-large", "sd35-large-turbo")),
        ({**LARGE, "_name_or_path": "stabilityai/stable-diffusion-3.5-large"}, ("sd35-large",)),
        ({**LARGE, "_name_or_path": "stabilityai/stable-diffusion-3.5-large-turbo"}, ("sd35-large-turbo",)),
    ],
    ids=str,
)
def test_the_variant_follows_from_the_configuration(
    tmp_path: Path, transformer: dict[str, Any], variants: tuple[str, ...]
) -> None:
    found = detect(ModelFiles(write(tmp_path / "model", **transformer)))
    assert found is not None
    assert found.variants == variants
    assert found.score > 0.9
    assert found.missing == ()
    assert any("StableDiffusion3Pipeline" in sentence for sentence in found.evidence)


@pytest.mark.parametrize(
    ("metadata", "variants"),
    [
        ({"format": "pt"}, ("sd35-large", "sd35-large-turbo")),
        ({"modelspec.architecture": "stable-diffusion-v3.5-large"}, ("sd35-large",)),
        ({"modelspec.title": "Stable Diffusion 3.5 Large Turbo"}, ("sd35-large", "sd35-large-turbo")),
        ({"modelspec.architecture": "stable-diffusion-v3.5-large-turbo"}, ("sd35-large-turbo",)),
    ],
    ids=str,
)
def test_metadata_tells_large_from_turbo(tmp_path: Path, metadata: dict[str, str], variants: tuple[str, ...]) -> None:
    found = detect(ModelFiles(write(tmp_path / "model", metadata=metadata, **LARGE)))
    assert found is not None
    assert found.variants == variants


def test_where_nothing_tells_the_user_is_asked(tmp_path: Path) -> None:
    folder = str(write(tmp_path / "model", **LARGE))
    with pytest.raises(ModelError, match="any of sd35-large, sd35-large-turbo") as caught:
        locate(HOST, folder, None)
    assert caught.value.field == "variant"
    assert locate(HOST, folder, "sd35-large-turbo").variant.name == "sd35-large-turbo"


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\x02\0\0\0\0\0\0\0[]", b"\x04\0\0\0\0\0\0\0\xff\xff\xff\xff"])
def test_a_damaged_header_is_one_error(tmp_path: Path, content: bytes) -> None:
    folder = write(tmp_path / "model", metadata={}, **LARGE)
    file = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=f"{file} is damaged"):
        detect(ModelFiles(folder))


@pytest.mark.parametrize("part", [part for part in (*PARTS, *T5_PARTS) if part != "transformer"])
def test_a_missing_part_is_named(tmp_path: Path, part: str) -> None:
    folder = write(tmp_path / "model", without=part)
    found = detect(ModelFiles(folder))
    assert found is not None
    assert found.missing == (part,)
    with pytest.raises(ModelError) as caught:
        locate(HOST, str(folder), None)
    assert f"missing: {part}" in caught.value.why
    assert ("[null, null]" in caught.value.why) == (part in T5_PARTS)


@pytest.mark.parametrize("entry", ["null", "absent"])
def test_t5_may_be_left_out(tmp_path: Path, entry: str) -> None:
    folder = write(tmp_path / "model", t5=False)
    if entry == "absent":
        names = {key: value for key, value in index(False).items() if key not in T5_PARTS}
        (folder / "model_index.json").write_text(json.dumps(names))
    found = detect(ModelFiles(folder))
    assert found is not None
    assert found.missing == ()
    assert found.score > 0.9


@pytest.mark.parametrize("name", ["StableDiffusionPipeline", "StableDiffusionXLPipeline", "FluxPipeline", None])
def test_other_pipelines_are_not_taken(tmp_path: Path, name: str | None) -> None:
    folder = write(tmp_path / "model")
    (folder / "model_index.json").write_text(json.dumps({**index(), "_class_name": name}))
    assert detect(ModelFiles(folder)) is None


def test_a_network_of_other_channels_is_recognised_and_not_run(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", in_channels=33)
    found = detect(ModelFiles(folder))
    assert found is not None
    assert found.variants == ()
    with pytest.raises(ModelError) as caught:
        locate(HOST, str(folder), None)
    assert "only networks with 16 are supported" in caught.value.why


@pytest.mark.parametrize("content", ["", "{", "[]", "3"])
@pytest.mark.parametrize("file", ["model_index.json", "transformer/config.json"])
def test_a_damaged_configuration_does_not_crash(tmp_path: Path, file: str, content: str) -> None:
    folder = write(tmp_path / "model")
    (folder / file).write_text(content)
    assert detect(ModelFiles(folder)) is None
