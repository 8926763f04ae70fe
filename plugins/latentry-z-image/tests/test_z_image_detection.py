"""Recognising Z-Image, from configurations and in files of weights at full size, by headers alone."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.models_z_image import index, write_z_image
from support.published import networks, single_file
from support.sparse import Shapes, shapes_of, write_sparse, write_sparse_gguf, write_sparse_shards

from latentry import Detection, ModelError, ModelFiles, PluginHost
from latentry._files._finding._locate import locate
from latentry_z_image.detect import PARTS, detect

HOST = PluginHost(load=("latentry", "latentry-z-image"))
TOKENIZERS = "the tokenizers, which no such file holds: give --tokenizer FOLDER unless the Hub's cache has them"
LACKING = (
    "the autoencoder: give --vae FILE",
    "the text encoder Qwen3-4B: give --text-encoder FILE",
    TOKENIZERS,
)


@cache
def built() -> dict[str, Any]:
    return networks("z_image", "turbo")


@cache
def whole() -> Shapes:
    return single_file("z_image", "turbo", built())


def bare() -> dict[str, tuple[int, ...]]:
    alone = single_file("z_image", "turbo", {"transformer": built()["transformer"]})
    return {name.removeprefix("model.diffusion_model."): shape for name, shape in alone.items()}


def seen(file: Path, **more: Any) -> Detection:
    found = detect(ModelFiles(file, **more))
    assert found is not None
    return found


def write(folder: Path, *, without: str = "", pipeline: str = "ZImagePipeline", shift: float = 3.0, **own: Any) -> Path:
    """A folder of configurations."""
    for part in PARTS:
        if part != without:
            (folder / part).mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps({**index(), "_class_name": pipeline}))
    if without != "transformer":
        config = {"_class_name": "ZImageTransformer2DModel", **own}
        (folder / "transformer" / "config.json").write_text(json.dumps(config))
    if without != "scheduler":
        (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps({"shift": shift}))
    return folder


@pytest.mark.parametrize(
    ("shift", "repository", "variants"),
    [
        (3.0, "", ("turbo",)),
        (6.0, "", ("base",)),
        (1.0, "", ("turbo", "base")),
        (6.0, "Tongyi-MAI/Z-Image-Turbo", ("turbo",)),
        (3.0, "Tongyi-MAI/Z-Image", ("base",)),
    ],
)
def test_a_folder_is_told_by_its_repository_then_by_its_shift(
    tmp_path: Path, shift: float, repository: str, variants: tuple[str, ...]
) -> None:
    found = seen(write(tmp_path / "model", shift=shift, **({"_name_or_path": repository} if repository else {})))
    assert (found.variants, found.possible) == (variants, ("turbo", "base"))
    assert found.score > 0.9


@pytest.mark.parametrize("pipeline", ["ZImageImg2ImgPipeline", "ZImageInpaintPipeline"])
def test_the_network_decides_whatever_the_pipeline(tmp_path: Path, pipeline: str) -> None:
    assert seen(write(tmp_path / "model", pipeline=pipeline)).variants == ("turbo",)


@pytest.mark.parametrize(
    ("pipeline", "own"), [("ZImageOmniPipeline", {}), ("ZImagePipeline", {"siglip_feat_dim": 1152})], ids=str
)
def test_networks_that_are_given_pictures_are_not_run(tmp_path: Path, pipeline: str, own: dict[str, Any]) -> None:
    folder = write(tmp_path / "model", pipeline=pipeline, **own)
    assert seen(folder).variants == ()
    with pytest.raises(ModelError) as caught:
        locate(HOST, str(folder), None)
    assert "supported" in caught.value.why


@pytest.mark.parametrize(
    ("pipeline", "own"),
    [("FluxPipeline", {}), ("Lumina2Pipeline", {}), ("ZImagePipeline", {"_class_name": "Lumina2Transformer2DModel"})],
    ids=str,
)
def test_other_pipelines_are_not_taken(tmp_path: Path, pipeline: str, own: dict[str, Any]) -> None:
    assert detect(ModelFiles(write(tmp_path / "model", pipeline=pipeline, **own))) is None


@pytest.mark.parametrize("part", [part for part in PARTS if part != "transformer"])
def test_a_missing_part_is_named(tmp_path: Path, part: str) -> None:
    assert seen(write(tmp_path / "model", without=part)).missing == (part,)


def test_a_whole_file_is_both_until_metadata_say_which(tmp_path: Path) -> None:
    found = seen(write_sparse(tmp_path / "model.safetensors", whole(), dtype="BF16"))
    assert (found.kind, found.variants, found.score) == ("model", ("turbo", "base"), 0.95)
    assert (found.missing, found.prediction) == ((TOKENIZERS,), "flow_prediction")
    for stated, variant in (("z-image-turbo", "turbo"), ("z-image", "base")):
        file = write_sparse(tmp_path / f"{variant}.safetensors", whole(), modelspec__architecture=stated)
        assert locate(HOST, str(file), None).variant.name == variant


@pytest.mark.parametrize("form", ["original", "prefixed", "diffusers", "shards", "gguf"])
def test_a_transformer_alone_is_a_model_that_lacks_parts(tmp_path: Path, form: str) -> None:
    diffusers = shapes_of(built()["transformer"])
    if form == "shards":
        file = write_sparse_shards(tmp_path, diffusers)
    elif form == "gguf":
        file = write_sparse_gguf(tmp_path / "t.gguf", bare(), "lumina2")
    else:
        prefixed = {f"model.diffusion_model.{name}": shape for name, shape in bare().items()}
        shapes = {"original": bare(), "prefixed": prefixed, "diffusers": diffusers}[form]
        file = write_sparse(tmp_path / "t.safetensors", shapes)
    found = seen(file)
    assert (found.variants, found.missing, found.score) == (("turbo", "base"), LACKING, 0.95)


def test_a_text_encoder_that_is_given_is_not_missing(tmp_path: Path) -> None:
    """Under transformers' names with and without those of the head, and under llama.cpp's."""
    file = write_sparse(tmp_path / "t.safetensors", bare())
    own = shapes_of(built()["text_encoder"])
    headed = {f"model.{name}": shape for name, shape in own.items()}
    for name, shapes in (("a", own), ("b", headed)):
        encoder = write_sparse(tmp_path / f"{name}.safetensors", shapes)
        assert seen(file, parts=(("text-encoder", encoder),)).missing == (LACKING[0], TOKENIZERS)
        assert detect(ModelFiles(encoder)) is not None
        assert seen(encoder).label == "a text encoder (Qwen3-4B)"


@pytest.mark.parametrize(
    "layer",
    [
        "transformer.layers.0.attention.to_q",
        "diffusion_model.layers.3.attention.qkv",
        "lora_unet_layers_3_feed_forward_w1",
        "diffusion_model.context_refiner.0.attention.out",
    ],
)
def test_a_lora_for_it_is_told_by_its_layers(tmp_path: Path, layer: str) -> None:
    ends = {f"{layer}.lora_down.weight": (4, 3840), f"{layer}.lora_up.weight": (3840, 4)}
    found = seen(write_sparse(tmp_path / "lora.safetensors", ends))
    assert (found.kind, found.label, found.score) == ("lora", "a LoRA for Z-Image", 0.95)


def test_its_kin_without_a_token_for_padding_is_not_taken(tmp_path: Path) -> None:
    """Lumina 2 has the layers' names, and pads with nothing."""
    shapes = {name: shape for name, shape in bare().items() if not name.endswith("pad_token")}
    assert detect(ModelFiles(write_sparse(tmp_path / "t.safetensors", shapes))) is None


def test_a_file_that_lacks_a_tensor_is_not_run(tmp_path: Path) -> None:
    shapes = {name: shape for name, shape in bare().items() if name != "layers.7.feed_forward.w2.weight"}
    found = seen(write_sparse(tmp_path / "t.safetensors", shapes))
    assert found.variants == ()
    assert "layers.7.feed_forward.w2.weight" in found.evidence[-1]


def test_shapes_of_its_own_need_configurations(tmp_path: Path) -> None:
    folder = write_z_image(tmp_path / "model")
    found = seen(folder / "transformer" / "diffusion_pytorch_model.safetensors")
    assert found.score == 0.8
    assert "the configurations: give --config FOLDER" in found.missing
    given = seen(folder / "transformer" / "diffusion_pytorch_model.safetensors", config=folder)
    assert (given.variants, given.missing) == (("turbo",), LACKING[:-1])
