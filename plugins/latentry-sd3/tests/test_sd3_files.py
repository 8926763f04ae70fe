"""Recognising Stable Diffusion 3 in files of weights, at full size and from headers alone."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.models_sd3 import write_stable_diffusion_3
from support.published import networks, single_file
from support.sparse import Shapes, shapes_of, write_sparse, write_sparse_gguf, write_sparse_shards

from latentry import Detection, ModelError, ModelFiles, PluginHost
from latentry._files._finding._locate import locate
from latentry_sd3.detect import detect
from latentry_sd3.release import ARCHITECTURES

HOST = PluginHost(load=("latentry", "latentry-sd3"))
LARGE = ("sd35-large", "sd35-large-turbo")
"""What headers cannot tell apart."""
POSSIBLE = {"sd3-medium": ("sd3-medium",), "sd35-medium": ("sd35-medium",), **dict.fromkeys(LARGE, LARGE)}
TOKENIZERS = "the tokenizers, which no such file holds: give --tokenizer FOLDER unless the Hub's cache has them"
LACKING = (
    "the autoencoder: give --vae FILE",
    "the text encoder CLIP-L: give --text-encoder FILE",
    "the text encoder CLIP-G: give --text-encoder FILE",
    TOKENIZERS,
)


@cache
def built(variant: str) -> dict[str, Any]:
    return networks("sd3", variant)


@cache
def whole(variant: str) -> Shapes:
    return single_file("sd3", variant, built(variant))


def seen(file: Path, **more: Any) -> Detection:
    found = detect(ModelFiles(file, **more))
    assert found is not None
    return found


@pytest.mark.slow
@pytest.mark.parametrize("variant", POSSIBLE)
@pytest.mark.parametrize("t5", [True, False])
def test_a_whole_file_is_recognised(tmp_path: Path, variant: str, t5: bool) -> None:
    shapes = {name: shape for name, shape in whole(variant).items() if t5 or ".t5xxl." not in name}
    found = seen(write_sparse(tmp_path / "model.safetensors", shapes))
    assert (found.kind, found.variants, found.score) == ("model", POSSIBLE[variant], 0.95)
    assert (found.missing, found.prediction) == ((TOKENIZERS,), "flow_prediction")
    assert ("T5 is optional" in found.evidence) != t5


@pytest.mark.slow
@pytest.mark.parametrize("variant", POSSIBLE)
@pytest.mark.parametrize("form", ["original", "diffusers", "shards", "gguf", "gguf in diffusers' names"])
def test_a_transformer_alone_is_a_model_that_lacks_parts(tmp_path: Path, variant: str, form: str) -> None:
    transformer = built(variant)["transformer"]
    original = single_file("sd3", variant, {"transformer": transformer})
    bare = {name.removeprefix("model.diffusion_model."): shape for name, shape in original.items()}
    if form == "shards":
        file = write_sparse_shards(tmp_path, shapes_of(transformer))
    elif form.startswith("gguf"):
        shapes = bare if form == "gguf" else shapes_of(transformer)
        file = write_sparse_gguf(tmp_path / "transformer.gguf", shapes, "sd3", packed="Q4_0")
    else:
        file = write_sparse(tmp_path / "t.safetensors", bare if form == "original" else shapes_of(transformer))
    found = seen(file)
    assert (found.variants, found.missing, found.score) == (POSSIBLE[variant], LACKING, 0.95)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metadata", "variants"),
    [
        ({}, LARGE),
        ({"modelspec__architecture": "stable-diffusion-v3.5-large"}, ("sd35-large",)),
        ({"modelspec__architecture": "stable-diffusion-3.5-large-turbo"}, ("sd35-large-turbo",)),
        ({"modelspec__title": "SD3.5 Large Turbo"}, LARGE),
        ({"modelspec__title": "A merge"}, LARGE),
    ],
    ids=str,
)
def test_metadata_decides_where_headers_cannot(
    tmp_path: Path, metadata: dict[str, str], variants: tuple[str, ...]
) -> None:
    file = write_sparse(tmp_path / "model.safetensors", whole("sd35-large"), **metadata)
    assert seen(file).variants == variants
    if len(variants) == 1:
        assert locate(HOST, str(file), None).variant.name == variants[0]
        return
    with pytest.raises(ModelError, match="can be any of sd35-large, sd35-large-turbo") as caught:
        locate(HOST, str(file), None)
    assert "modelspec.architecture" in caught.value.why


def test_a_network_of_other_channels_is_recognised_and_not_run(tmp_path: Path) -> None:
    shapes = {**whole("sd3-medium"), "model.diffusion_model.x_embedder.proj.weight": (1536, 33, 2, 2)}
    found = seen(write_sparse(tmp_path / "model.safetensors", shapes))
    assert found.variants == ()
    assert "only networks with 16 are supported" in found.evidence


def test_shapes_of_its_own_need_configurations(tmp_path: Path) -> None:
    folder = write_stable_diffusion_3(tmp_path / "model")
    file = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    found = seen(file)
    assert (found.variants, found.score) == (("sd35-medium",), 0.8)
    assert "the configurations: give --config FOLDER" in found.missing
    assert seen(file, config=folder).missing == LACKING[:-1]


@pytest.mark.slow
@pytest.mark.parametrize("variant", POSSIBLE)
def test_a_converted_file_says_which_variant_it_is(tmp_path: Path, variant: str) -> None:
    said = ARCHITECTURES[variant]
    file = write_sparse(tmp_path / "model.safetensors", whole(variant), modelspec__architecture=said)
    assert seen(file).variants == (variant,)
