"""Headers of strangers: no crash, no hang, no large allocation, whatever a file says."""

from __future__ import annotations

import json
import resource
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.sparse import write_header, write_sparse_gguf

from latentry import Detection, ModelError, ModelFiles, PluginHost, inspect_model
from latentry_flux.detect import detect as detect_flux
from latentry_sd.detect import detect as detect_sd
from latentry_sd3.detect import detect as detect_sd3
from latentry_sdxl.detect import detect as detect_sdxl

pytestmark = pytest.mark.slow

DETECTORS = (detect_sd, detect_sdxl, detect_sd3, detect_flux)
ROOM = 1 << 29
"""Bytes of address space beyond what the tests begin with."""
QUICK = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

NAMES = (
    "model.diffusion_model.input_blocks.0.0.weight",
    "model.diffusion_model.input_blocks.1.0.out_layers.3.weight",
    "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight",
    "model.diffusion_model.label_emb.0.0.weight",
    "conv_in.weight",
    "down_blocks.0.resnets.0.conv2.weight",
    "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight",
    "joint_blocks.0.x_block.attn.qkv.weight",
    "x_embedder.proj.weight",
    "context_embedder.weight",
    "pos_embed",
    "double_blocks.0.img_attn.qkv.weight",
    "single_blocks.0.linear1.weight",
    "img_in.weight",
    "txt_in.weight",
    "vector_in.in_layer.weight",
    "final_layer.linear.weight",
    "decoder.conv_in.weight",
    "first_stage_model.decoder.conv_in.weight",
    "lora_unet_x.lora_down.weight",
    "text_model.embeddings.token_embedding.weight",
    "emb_params",
    "conv_first.weight",
    "v_pred",
)
"""By which something is recognised."""
SIDES = st.one_of(
    st.integers(0, 9), st.sampled_from((64, 320, 768, 1 << 31, (1 << 63) - 1, 1 << 64, -1, 1.5, None, "4"))
)
SHAPES = st.lists(SIDES, max_size=6)
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(("F16", "F32", "BF16", "F8_E4M3", "F4", "I64", "BOOL", "Z9", "", 3, None)),
        "shape": st.one_of(SHAPES, st.integers(), st.none()),
        "data_offsets": st.one_of(st.lists(st.integers(-1, 1 << 65), max_size=3), st.none()),
    }
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=9), inner, max_size=3)),
    max_leaves=9,
)
HEADERS = st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=9)), st.one_of(ENTRIES, JSON), max_size=6)
PIPELINES = ("StableDiffusionPipeline", "StableDiffusionXLPipeline", "StableDiffusion3Pipeline", "FluxPipeline")


@pytest.fixture(scope="module", autouse=True)
def little_room() -> Iterator[None]:
    """What asks for much more memory than this process has by now is refused it, and the test fails."""
    for detect in DETECTORS:
        detect(ModelFiles(Path(__file__)))
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    if pages:
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost()


def ask(file: Path) -> list[Detection | None]:
    """What every family says; each error is one that a person can read."""
    answers: list[Detection | None] = []
    for detect in DETECTORS:
        try:
            found = detect(ModelFiles(file))
        except ModelError as error:
            assert str(file.parent) in error.what
            assert error.remedy
            continue
        if found is not None:
            assert 0.0 < found.score <= 1.0
            assert found.evidence
            assert all(isinstance(sentence, str) for sentence in (*found.evidence, *found.missing))
        answers.append(found)
    return answers


@pytest.mark.parametrize("suffix", ["safetensors", "gguf", "sft"])
@given(content=st.binary(max_size=300))
@QUICK
def test_arbitrary_bytes(tmp_path: Path, suffix: str, content: bytes) -> None:
    file = tmp_path / f"file.{suffix}"
    file.write_bytes(content)
    assert not any(ask(file))


@given(content=st.binary(max_size=200), version=st.integers(0, 4), tensors=st.integers(0, (1 << 64) - 1))
@QUICK
def test_arbitrary_bytes_behind_the_mark_of_gguf(tmp_path: Path, content: bytes, version: int, tensors: int) -> None:
    file = tmp_path / "file.gguf"
    file.write_bytes(b"GGUF" + struct.pack("<IQ", version, tensors) + content)
    ask(file)


@given(length=st.integers(0, (1 << 64) - 1), content=st.binary(max_size=64))
@QUICK
def test_absurd_lengths_of_headers(tmp_path: Path, length: int, content: bytes) -> None:
    file = tmp_path / "file.safetensors"
    file.write_bytes(struct.pack("<Q", length) + b"{" + content)
    assert not any(ask(file))


@given(
    header=st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=9)), st.one_of(ENTRIES, JSON), max_size=6)
)
@QUICK
def test_headers_that_say_strange_things(tmp_path: Path, header: dict[str, Any]) -> None:
    ask(write_header(tmp_path / "file.safetensors", json.dumps(header).encode(), 64))


@given(shapes=st.dictionaries(st.sampled_from(NAMES), st.lists(st.integers(0, 5), max_size=6), max_size=24))
@QUICK
def test_names_that_are_known_with_shapes_that_are_not(tmp_path: Path, shapes: dict[str, list[int]]) -> None:
    """All of it is valid, so nothing may be an error."""
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 2
        for side in shape:
            size *= side
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    file = write_header(tmp_path / "file.safetensors", json.dumps(header).encode(), end)
    assert len(ask(file)) == len(DETECTORS)


@given(place=st.integers(0, 4000), byte=st.integers(0, 255))
@QUICK
def test_one_byte_that_changed(tmp_path: Path, place: int, byte: int) -> None:
    shapes = {name: [4, 4] for name in NAMES}
    header = {
        name: {"dtype": "F16", "shape": shape, "data_offsets": [32 * number, 32 * number + 32]}
        for number, (name, shape) in enumerate(shapes.items())
    }
    file = write_header(tmp_path / "file.safetensors", json.dumps(header).encode(), 32 * len(shapes))
    content = bytearray(file.read_bytes())
    content[place % len(content)] = byte
    file.write_bytes(content)
    ask(file)


@given(place=st.integers(0, 600), byte=st.integers(0, 255))
@QUICK
def test_one_byte_of_a_gguf_file_that_changed(tmp_path: Path, place: int, byte: int) -> None:
    file = write_sparse_gguf(tmp_path / "file.gguf", dict.fromkeys(NAMES[:6], (4, 32)), "flux")
    content = bytearray(file.read_bytes())
    content[place % len(content)] = byte
    file.write_bytes(content)
    ask(file)


@pytest.mark.parametrize("depth", [100, 100_000])
@pytest.mark.parametrize("form", ["header", "index", "configuration"])
def test_deep_json(tmp_path: Path, host: PluginHost, depth: int, form: str) -> None:
    deep = '{"a":' * depth + "1" + "}" * depth
    if form == "header":
        path = write_header(tmp_path / "file.safetensors", deep.encode(), 0)
    elif form == "index":
        path = tmp_path / "model.safetensors.index.json"
        path.write_text(f'{{"weight_map": {deep}}}')
    else:
        path = tmp_path
        (tmp_path / "model_index.json").write_text(deep)
    with pytest.raises(ModelError):
        inspect_model(host, path)


@given(content=JSON, pipeline=st.sampled_from(PIPELINES))
@QUICK
def test_strange_configurations_of_folders(tmp_path: Path, content: Any, pipeline: str) -> None:
    config = dict.fromkeys(("in_channels", "cross_attention_dim", "prediction_type", "qk_norm"), content)
    for part in ("unet", "transformer", "scheduler"):
        (tmp_path / part).mkdir(exist_ok=True)
        for name in ("config.json", "scheduler_config.json"):
            (tmp_path / part / name).write_text(json.dumps({**config, "_class_name": "FluxTransformer2DModel"}))
    index = tmp_path / "model_index.json"
    for said in (content, {"_class_name": content}, {"_class_name": pipeline, "text_encoder": content}):
        index.write_text(json.dumps(said))
        ask(tmp_path)


@pytest.mark.parametrize("key", ["_class_name", "architectures", "in_channels"])
@given(content=JSON)
@QUICK
def test_strange_configurations_of_parts(tmp_path: Path, key: str, content: Any) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "UNet2DConditionModel", key: content}))
    ask(tmp_path)


@given(places=st.dictionaries(st.sampled_from(NAMES), st.one_of(st.text(max_size=12), JSON), min_size=1, max_size=4))
@QUICK
def test_strange_indices(tmp_path: Path, host: PluginHost, places: dict[str, Any]) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    with pytest.raises(ModelError):
        inspect_model(host, index)
    assert not any(ask(index))
