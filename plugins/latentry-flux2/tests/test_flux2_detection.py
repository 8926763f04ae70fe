"""Recognising FLUX.2, from configurations and in files of weights at full size, by headers alone."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.models_flux2 import index
from support.published import networks, single_file
from support.sparse import Shapes, shapes_of, write_sparse, write_sparse_gguf, write_sparse_shards

from latentry import Detection, ModelError, ModelFiles, PluginHost
from latentry._files._finding._locate import locate
from latentry_flux.detect import detect as detect_flux
from latentry_flux2.detect import PARTS, detect
from latentry_flux2.variants import PARAMETERS, TRANSFORMERS

HOST = PluginHost(load=("latentry", "latentry-flux2"))
TOKENIZERS = "the tokenizers, which no such file holds: give --tokenizer FOLDER unless the Hub's cache has them"
NAMES = {"dev": "Mistral Small", "klein-4b": "Qwen3-4B", "klein-9b": "Qwen3-8B"}
POSSIBLE = {
    "dev": ("dev",),
    "klein-4b": ("klein-4b", "klein-base-4b"),
    "klein-9b": ("klein-9b", "klein-base-9b"),
}


@cache
def built(variant: str) -> dict[str, Any]:
    return networks("flux2", variant)


@cache
def whole(variant: str) -> Shapes:
    return single_file("flux2", variant, built(variant))


def bare(variant: str) -> dict[str, tuple[int, ...]]:
    alone = single_file("flux2", variant, {"transformer": built(variant)["transformer"]})
    return {name.removeprefix("model.diffusion_model."): shape for name, shape in alone.items()}


def seen(file: Path, **more: Any) -> Detection:
    found = detect(ModelFiles(file, **more))
    assert found is not None
    return found


def write(folder: Path, variant: str, *, without: str = "", pipeline: str = "", **own: Any) -> Path:
    """A folder of configurations."""
    for part in PARTS:
        if part != without:
            (folder / part).mkdir(parents=True)
    listed = {**index("dev" if variant == "dev" else "klein-base-4b"), "is_distilled": "base" not in variant}
    (folder / "model_index.json").write_text(json.dumps(listed | ({"_class_name": pipeline} if pipeline else {})))
    if without != "transformer":
        config = {"_class_name": "Flux2Transformer2DModel", **TRANSFORMERS[variant], **own}
        (folder / "transformer" / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("variant", TRANSFORMERS)
def test_the_published_configurations_are_recognised(tmp_path: Path, variant: str) -> None:
    folder = write(tmp_path / "model", variant)
    assert (seen(folder).variants, seen(folder).missing) == ((variant,), ())
    assert locate(HOST, str(folder), None).variant.name == variant


@pytest.mark.parametrize("pipeline", ["Flux2KleinKVPipeline", "Flux2ModularPipeline"])
def test_other_pipelines_of_its_kind_are_recognised_and_not_run(tmp_path: Path, pipeline: str) -> None:
    folder = write(tmp_path / "model", "klein-9b", pipeline=pipeline)
    assert seen(folder).variants == ()
    with pytest.raises(ModelError) as caught:
        locate(HOST, str(folder), None)
    assert "supported" in caught.value.why


def test_flux_1_is_not_taken_and_does_not_take_it(tmp_path: Path) -> None:
    other = write(tmp_path / "other", "dev", pipeline="FluxPipeline", _class_name="FluxTransformer2DModel")
    assert detect(ModelFiles(other)) is None
    assert detect_flux(ModelFiles(write(tmp_path / "own", "dev"))) is None
    assert detect_flux(ModelFiles(write_sparse(tmp_path / "own.safetensors", bare("dev")))) is None
    of_flux = single_file("flux", "schnell", {"transformer": networks("flux", "schnell")["transformer"]})
    assert detect(ModelFiles(write_sparse(tmp_path / "flux.safetensors", of_flux))) is None


@pytest.mark.parametrize("part", [part for part in PARTS if part != "transformer"])
def test_a_missing_part_is_named(tmp_path: Path, part: str) -> None:
    assert seen(write(tmp_path / "model", "dev", without=part)).missing == (part,)


@pytest.mark.parametrize("variant", POSSIBLE)
def test_a_whole_file_is_recognised(tmp_path: Path, variant: str) -> None:
    found = seen(write_sparse(tmp_path / "model.safetensors", whole(variant), dtype="BF16"))
    assert (found.kind, found.variants, found.score) == ("model", POSSIBLE[variant], 0.95)
    assert (found.missing, found.prediction) == ((TOKENIZERS,), "flow_prediction")


@pytest.mark.parametrize("stated", ["flux-2-klein-4b", "flux-2-klein-base-4b"])
def test_metadata_tell_distilled_from_base(tmp_path: Path, stated: str) -> None:
    file = write_sparse(tmp_path / "t.safetensors", whole("klein-4b"), modelspec__architecture=stated)
    assert locate(HOST, str(file), None).variant.name == stated.removeprefix("flux-2-")


@pytest.mark.parametrize("form", ["original", "diffusers", "shards", "gguf"])
@pytest.mark.parametrize("variant", POSSIBLE)
def test_a_transformer_alone_is_a_model_that_lacks_parts(tmp_path: Path, variant: str, form: str) -> None:
    diffusers = shapes_of(built(variant)["transformer"])
    if form == "shards":
        file = write_sparse_shards(tmp_path, diffusers)
    elif form == "gguf":
        file = write_sparse_gguf(tmp_path / "t.gguf", bare(variant), "flux")
    else:
        file = write_sparse(tmp_path / "t.safetensors", bare(variant) if form == "original" else diffusers)
    encoder = f"the text encoder {NAMES[variant]}: give --text-encoder FILE"
    found = seen(file)
    assert (found.variants, found.score) == (POSSIBLE[variant], 0.95)
    assert found.missing == ("the autoencoder: give --vae FILE", encoder, TOKENIZERS)
    text = write_sparse(tmp_path / "text.safetensors", shapes_of(built(variant)["text_encoder"]))
    assert encoder not in seen(file, parts=(("text-encoder", text),)).missing


@pytest.mark.parametrize(
    ("layer", "inputs", "outputs", "family"),
    [
        ("transformer.single_transformer_blocks.0.attn.to_qkv_mlp_proj", 3072, 27648, "FLUX.2"),
        ("transformer.transformer_blocks.0.attn.add_k_proj", 6144, 6144, "FLUX.2"),
        ("diffusion_model.double_blocks.0.img_attn.qkv", 6144, 18432, "FLUX.2"),
        ("lora_unet_single_blocks_0_linear1", 4096, 36864, "FLUX.2"),
        ("diffusion_model.single_blocks.0.linear1", 3072, 27648, "FLUX.2"),
        ("diffusion_model.single_blocks.0.linear1", 3072, 21504, "FLUX.1"),
        ("diffusion_model.double_blocks.0.img_attn.qkv", 3072, 9216, "FLUX.1"),
        ("transformer.single_transformer_blocks.0.attn.to_q", 3072, 3072, "FLUX.1"),
    ],
)
def test_a_lora_is_for_flux_1_or_for_flux_2(tmp_path: Path, layer: str, inputs: int, outputs: int, family: str) -> None:
    ends = {f"{layer}.lora_down.weight": (4, inputs), f"{layer}.lora_up.weight": (outputs, 4)}
    found = seen(write_sparse(tmp_path / "lora.safetensors", ends))
    assert found.label == f"a LoRA for {family}"
    assert (found.score == 0.95) == (family == "FLUX.2")


def test_the_networks_are_as_large_as_those_published() -> None:
    """Parameters; the statistics of the autoencoder's latents are none."""
    counts = {
        variant: {part: sum(p.numel() for p in network.parameters()) for part, network in built(variant).items()}
        for variant in POSSIBLE
    }
    encoders = {"dev": 22_901_314_560, "klein-4b": 4_022_468_096, "klein-9b": 7_568_405_504}
    assert counts == {
        variant: {"transformer": PARAMETERS[variant], "vae": 84_046_115, "text_encoder": encoders[variant]}
        for variant in POSSIBLE
    }
    assert [round(PARAMETERS[variant] / 1e9) for variant in POSSIBLE] == [32, 4, 9]
