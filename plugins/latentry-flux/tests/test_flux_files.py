"""Recognising FLUX.1 in files of weights, at full size and from headers alone."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.models_flux import write_flux
from support.published import networks, single_file
from support.sparse import Shapes, shapes_of, write_sparse, write_sparse_gguf, write_sparse_shards

from latentry import Detection, ModelFiles, PluginHost
from latentry._files._finding._locate import locate
from latentry_flux.detect import detect

HOST = PluginHost(load=("latentry", "latentry-flux"))
VARIANTS = ("dev", "schnell", "fill")
TOKENIZERS = "the tokenizers, which no such file holds: give --tokenizer FOLDER unless the Hub's cache has them"
LACKING = (
    "the autoencoder: give --vae FILE",
    "the text encoder CLIP-L: give --text-encoder FILE",
    "the text encoder T5-XXL: give --text-encoder FILE",
    TOKENIZERS,
)


@cache
def built(variant: str) -> dict[str, Any]:
    return networks("flux", variant)


@cache
def whole(variant: str) -> Shapes:
    return single_file("flux", variant, built(variant))


def bare(variant: str) -> Shapes:
    alone = single_file("flux", variant, {"transformer": built(variant)["transformer"]})
    return {name.removeprefix("model.diffusion_model."): shape for name, shape in alone.items()}


def seen(file: Path, **more: Any) -> Detection:
    found = detect(ModelFiles(file, **more))
    assert found is not None
    return found


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_whole_file_is_recognised(tmp_path: Path, variant: str) -> None:
    file = write_sparse(tmp_path / "model.safetensors", whole(variant), dtype="F8_E4M3")
    found = seen(file)
    assert (found.kind, found.variants, found.score) == ("model", (variant,), 0.95)
    assert (found.missing, found.prediction, found.dtypes) == ((TOKENIZERS,), "flow_prediction", ("float8_e4m3fn",))
    assert locate(HOST, str(file), None).variant.name == variant


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("form", ["original", "prefixed", "diffusers", "shards", "gguf", "gguf in diffusers' names"])
def test_a_transformer_alone_is_a_model_that_lacks_parts(tmp_path: Path, variant: str, form: str) -> None:
    diffusers = shapes_of(built(variant)["transformer"])
    if form == "shards":
        file = write_sparse_shards(tmp_path, diffusers)
    elif form.startswith("gguf"):
        file = write_sparse_gguf(tmp_path / "t.gguf", bare(variant) if form == "gguf" else diffusers, "flux")
    else:
        prefixed = {f"model.diffusion_model.{name}": shape for name, shape in bare(variant).items()}
        shapes = {"original": bare(variant), "prefixed": prefixed, "diffusers": diffusers}[form]
        file = write_sparse(tmp_path / "t.safetensors", shapes)
    found = seen(file)
    assert (found.variants, found.missing, found.score) == ((variant,), LACKING, 0.95)


@pytest.mark.slow
def test_parts_that_are_given_are_not_missing(tmp_path: Path) -> None:
    file = write_sparse_gguf(tmp_path / "flux.gguf", bare("dev"), "flux")
    clip = write_sparse(tmp_path / "clip.safetensors", shapes_of(built("dev")["text_encoder"]))
    t5 = write_sparse(tmp_path / "t5.safetensors", shapes_of(built("dev")["text_encoder_2"]))
    vae = tmp_path / "ae.safetensors"
    parts = (("text-encoder", t5), ("vae", vae), ("text-encoder", clip))
    assert seen(file, parts=parts).missing == (TOKENIZERS,)
    assert seen(file, parts=parts[:2]).missing == (LACKING[1], TOKENIZERS)


@pytest.mark.slow
def test_kontext_has_the_tensors_of_dev_and_is_not_taken(tmp_path: Path) -> None:
    file = write_sparse(tmp_path / "t.safetensors", bare("dev"), modelspec__architecture="flux-1-dev-kontext")
    found = seen(file)
    assert found.variants == ()
    assert any("Kontext" in sentence and "not supported" in sentence for sentence in found.evidence)


@pytest.mark.slow
@pytest.mark.parametrize("named", ["", "canny", "depth"])
def test_edges_and_depth_are_told_apart_where_the_file_says_so(tmp_path: Path, named: str) -> None:
    shapes = {**bare("dev"), "img_in.weight": (3072, 128)}
    says = {"modelspec__architecture": f"flux-1-{named}-dev"} if named else {}
    assert seen(write_sparse(tmp_path / "t.safetensors", shapes, **says)).variants == (
        (named,) if named else ("canny", "depth")
    )


@pytest.mark.parametrize("channels", [72, 96])
def test_a_network_of_other_channels_is_recognised_and_not_run(tmp_path: Path, channels: int) -> None:
    found = seen(write_sparse(tmp_path / "t.safetensors", {**bare("dev"), "img_in.weight": (3072, channels)}))
    assert found.variants == ()
    assert any(f"takes {channels} channels and gives 64" in sentence for sentence in found.evidence)


def test_kin_without_pooled_text_is_not_taken(tmp_path: Path) -> None:
    """Chroma has FLUX's blocks and no use for CLIP."""
    shapes = {name: shape for name, shape in bare("schnell").items() if not name.startswith("vector_in")}
    assert detect(ModelFiles(write_sparse(tmp_path / "t.safetensors", shapes))) is None


def test_shapes_of_its_own_need_configurations(tmp_path: Path) -> None:
    folder = write_flux(tmp_path / "model", "schnell")
    file = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    found = seen(file)
    assert (found.variants, found.score) == (("schnell",), 0.8)
    assert "the configurations: give --config FOLDER" in found.missing
    assert seen(file, config=folder).missing == LACKING[:-1]
