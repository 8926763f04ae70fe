"""Recognising and loading Qwen-Image: at full size by headers alone, and small ones with their values."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES
from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers
from diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus import calculate_dimensions
from PIL import Image
from safetensors.torch import load_file, save_file
from support.float8 import scaled_float8
from support.models import PROMPT, copied, edit, edit_weights
from support.models_qwen_image import WIDTH, index, write_qwen_image
from support.published import networks, single_file
from support.sparse import shapes_of, write_sparse, write_sparse_gguf, write_sparse_shards

from latentry import (
    Detection,
    Engine,
    GenerationRequest,
    IncompatibleError,
    LoraRequest,
    ModelError,
    ModelFiles,
    PluginHost,
    SigmaPreference,
)
from latentry.models import PromptSettings
from latentry_qwen_image.checkpoint import open_checkpoint
from latentry_qwen_image.detect import PARTS, detect
from latentry_qwen_image.layout import QWEN_IMAGE_VAE, qwen_image_pairs
from latentry_qwen_image.model import QwenImage
from latentry_qwen_image.pictures import fitted
from latentry_qwen_image.prompts import INSTRUCTIONS
from latentry_qwen_image.vae_layout import qwen_image_vae_pairs
from latentry_qwen_image.variants import PARAMETERS

CPU, SETTINGS = torch.device("cpu"), PromptSettings(64, 64)
TOKENIZERS = "the tokenizers, which no such file holds: give --tokenizer FOLDER unless the Hub's cache has them"
ENCODER = "the text encoder Qwen2.5-VL-7B: give --text-encoder FILE"
LACKING = ("the autoencoder: give --vae FILE", ENCODER, TOKENIZERS)
Spoil = Callable[[Path], object]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be written to."""
    torch.set_num_threads(1)
    return write_qwen_image(tmp_path_factory.mktemp("models") / "image")


@pytest.fixture(scope="session")
def model(folder: Path) -> QwenImage:
    """Loaded once."""
    return open_checkpoint(ModelFiles(folder), "image").load(CPU, torch.float32)


@cache
def built() -> dict[str, Any]:
    return networks("qwen_image", "image")


def seen(file: Path, **more: Any) -> Detection:
    found = detect(ModelFiles(file, **more))
    assert found is not None
    return found


def write(folder: Path, *, without: str = "", pipeline: str = "QwenImagePipeline", **own: Any) -> Path:
    """A folder of configurations."""
    for part in PARTS:
        if part != without:
            (folder / part).mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps({**index(), "_class_name": pipeline}))
    config = {"_class_name": "QwenImageTransformer2DModel", **own}
    (folder / "transformer" / "config.json").write_text(json.dumps(config))
    return folder


def test_the_networks_are_as_large_as_those_published() -> None:
    counts = {part: sum(p.numel() for p in network.parameters()) for part, network in built().items()}
    assert counts == {"transformer": 20_430_401_088, "vae": 126_892_531, "text_encoder": 7_070_619_136}
    assert set(PARAMETERS.values()) == {counts["transformer"]}
    seeing = networks("qwen_image", "edit")["text_encoder"]  # that of Qwen2.5-VL-7B, whose head has 152064 · 3584
    assert sum(p.numel() for p in seeing.parameters()) == 8_292_166_656 - 152_064 * 3_584


@pytest.mark.parametrize(
    ("pipeline", "own", "variants"),
    [
        ("QwenImagePipeline", {}, ("image",)),
        ("QwenImageInpaintPipeline", {}, ("image",)),
        ("QwenImageEditPipeline", {}, ("edit",)),
        ("QwenImageEditInpaintPipeline", {}, ("edit",)),
        ("QwenImageEditPlusPipeline", {"zero_cond_t": True}, ("edit-plus",)),
        ("QwenImageLayeredPipeline", {}, ()),
        ("QwenImagePipeline", {"use_layer3d_rope": True}, ()),
    ],
    ids=str,
)
def test_a_folder_is_told_by_its_pipeline(
    tmp_path: Path, pipeline: str, own: dict[str, Any], variants: tuple[str, ...]
) -> None:
    assert seen(write(tmp_path / "model", pipeline=pipeline, **own)).variants == variants


def test_other_families_are_not_taken(tmp_path: Path) -> None:
    assert detect(ModelFiles(write(tmp_path / "model", pipeline="FluxPipeline"))) is None
    shapes = {"img_in.weight": (3072, 64), "double_blocks.0.img_mod.lin.weight": (18432, 3072)}
    assert detect(ModelFiles(write_sparse(tmp_path / "f.safetensors", shapes))) is None


@pytest.mark.parametrize("part", [part for part in PARTS if part != "transformer"])
def test_a_missing_part_is_named(tmp_path: Path, part: str) -> None:
    assert seen(write(tmp_path / "model", without=part)).missing == (part,)


@pytest.mark.parametrize("form", ["plain", "prefixed", "shards", "gguf"])
def test_a_transformer_alone_is_a_model_that_lacks_parts(tmp_path: Path, form: str) -> None:
    shapes = shapes_of(built()["transformer"])
    if form == "shards":
        file = write_sparse_shards(tmp_path, shapes)
    elif form == "gguf":
        file = write_sparse_gguf(tmp_path / "t.gguf", shapes, "qwen_image")
    else:
        whole = single_file("qwen_image", "image", {"transformer": built()["transformer"]})
        file = write_sparse(tmp_path / "t.safetensors", shapes if form == "plain" else whole)
    assert (seen(file).variants, seen(file).missing, seen(file).score) == (("image",), LACKING, 0.95)
    text = write_sparse(tmp_path / "e.safetensors", shapes_of(built()["text_encoder"]))
    assert seen(file, parts=(("text-encoder", text),)).missing == (LACKING[0], TOKENIZERS)


@pytest.mark.parametrize(
    ("stated", "variants"),
    [("qwen-image-edit", ("edit",)), ("qwen-image-edit-2511", ("edit-plus",)), ("qwen-image-layered", ())],
)
def test_a_file_says_in_its_metadata_that_it_edits(tmp_path: Path, stated: str, variants: tuple[str, ...]) -> None:
    """Nothing else in it does."""
    file = write_sparse(tmp_path / "t.safetensors", shapes_of(built()["transformer"]), modelspec__architecture=stated)
    assert seen(file).variants == variants


def test_the_transformer_is_published_under_diffusers_own_names() -> None:
    """diffusers renames nothing either."""
    names = set(built()["transformer"].state_dict())
    renamed = SINGLE_FILE_LOADABLE_CLASSES["QwenImageTransformer2DModel"]["checkpoint_mapping_fn"]
    assert renamed(checkpoint=dict.fromkeys(names)).keys() == names
    pairs = qwen_image_pairs(built()["transformer"].config)
    assert [pair.original for pair in pairs] == [pair.diffusers[0] for pair in pairs]
    assert {pair.original for pair in pairs} == names


@pytest.mark.parametrize("form", ["plain", "scaled_fp8", "comfy_quant"])
@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_a_transformers_file_has_the_values_of_the_folder(
    folder: Path, model: QwenImage, tmp_path: Path, prefix: str, form: Any
) -> None:
    held = {f"{prefix}{name}": tensor for name, tensor in model.transformer.state_dict().items()}
    stored, values = (held, held) if form == "plain" else scaled_float8(held, form, prefix=prefix)
    save_file(stored, tmp_path / "t.safetensors")
    files = ModelFiles(
        tmp_path / "t.safetensors", (("vae", folder / "vae"), ("text-encoder", folder / "text_encoder")), folder
    )
    loaded = open_checkpoint(files, "image").load(CPU, torch.float32)
    assert (loaded.report.missing, loaded.report.unexpected) == ((), ())
    found = loaded.transformer.state_dict()
    assert found.keys() == model.transformer.state_dict().keys()
    assert all(torch.equal(tensor, values[f"{prefix}{name}"]) for name, tensor in found.items())


def test_the_table_of_the_autoencoders_own_file_is_diffusers() -> None:
    vae = built()["vae"]
    pairs = qwen_image_vae_pairs(vae.config)
    assert {name for pair in pairs for name in pair.diffusers} == set(vae.state_dict())
    renamed = convert_wan_vae_to_diffusers({pair.original: pair.diffusers[0] for pair in pairs})
    assert all(name == ours for name, ours in renamed.items())
    assert len(renamed) == len(pairs)


def test_the_autoencoder_is_read_from_its_own_file(folder: Path, model: QwenImage, tmp_path: Path) -> None:
    """As published for video, beside a checkpoint."""
    own = model.vae.state_dict()
    (layout,) = QWEN_IMAGE_VAE.layouts
    file = tmp_path / "vae.safetensors"
    save_file({pair.original: own[pair.diffusers[0]].clone() for pair in layout.pairs(model.vae.config)}, file)
    other = open_checkpoint(ModelFiles(folder, parts=(("vae", file),)), "image").load(CPU, torch.float32)
    assert not other.report.unexpected
    assert all(torch.equal(tensor, own[name]) for name, tensor in other.vae.state_dict().items())


@pytest.mark.parametrize("names", ["published", "newest"])
def test_an_editor_is_read_under_both_names_of_its_text_encoder(tmp_path: Path, names: str) -> None:
    editor = write_qwen_image(tmp_path / "edit", kind="edit")
    file = editor / "text_encoder" / "model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}
    bias = tensors["visual.merger.mlp.2.bias"]
    if names == "newest":
        for begins, new in (("model.", "model.language_model."), ("visual.", "model.visual.")):
            tensors = {re.sub(f"^{begins}", new, name): tensor for name, tensor in tensors.items()}
        save_file(tensors, file)
    model = open_checkpoint(ModelFiles(editor), "edit").load(CPU, torch.float32)
    assert not model.report.unexpected
    assert torch.equal(model.text.encoder.visual.merger.mlp[2].bias, bias)


def test_more_references_than_an_editor_takes_are_refused_before_weights_load(tmp_path: Path) -> None:
    editor = write_qwen_image(tmp_path / "edit", kind="edit")
    edit_weights(editor / "transformer" / "diffusion_pytorch_model.safetensors", drop="txt_norm.weight")
    request = GenerationRequest(prompt=PROMPT, model=str(editor), references=("a.png", "b.png"))
    with pytest.raises(IncompatibleError, match="cannot be shown 2 reference pictures"):
        Engine(PluginHost()).prepare(request)


@pytest.mark.parametrize("size", [(1024, 1024), (1920, 1080), (333, 1000)])
def test_pictures_are_scaled_as_diffusers_does(size: tuple[int, int]) -> None:
    picture = fitted(Image.new("RGB", size), 1024)
    assert picture.size == calculate_dimensions(1024 * 1024, size[0] / size[1])


def test_the_grid_is_the_configurations(folder: Path, tmp_path: Path) -> None:
    wanted = SigmaPreference("latentry-qwen-image:stretched", (("terminal", 0.02),))
    assert open_checkpoint(ModelFiles(folder), "image").noise.demand == wanted
    other = copied(folder, tmp_path / "other")
    edit(other / "scheduler" / "scheduler_config.json", shift_terminal=None)
    assert open_checkpoint(ModelFiles(other), "image").noise.demand is None


def test_the_states_of_the_instructions_are_left_out(model: QwenImage) -> None:
    both = model.encode_prompt([PROMPT, "a"], SETTINGS)
    alone = model.encode_prompt(["a"], SETTINGS)
    assert both["tokens"].tolist() == [both["text"].shape[1], alone["text"].shape[1]]
    encoder, tokenizer = model.text
    assert both["text"].shape[2] == WIDTH == encoder.config.hidden_size
    words = [len(tokenizer(text).input_ids) for text in (PROMPT, "a")]
    assert both["tokens"][0] - both["tokens"][1] == words[0] - words[1]
    assert alone["text"].shape[1] > words[1]
    assert [told.before for told in INSTRUCTIONS.values()] == [34, 64, 64]


def test_latents_are_in_the_channels_units(model: QwenImage) -> None:
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    raw = model.vae.encode(pixels[:, :, None]).latent_dist.mode()
    mean, std = (
        torch.tensor(each).view(1, -1, 1, 1) for each in (model.vae.config.latents_mean, model.vae.config.latents_std)
    )
    assert torch.allclose(model.encode(pixels), (raw[:, :, 0] - mean) / std, atol=1e-6)
    assert torch.allclose(model.decode(model.encode(pixels)), model.vae.decode(raw).sample[:, :, 0], atol=1e-5)


def test_backends_serve_the_autoencoder_and_a_copy_of_it(model: QwenImage) -> None:
    """Its attention alone, in tiles and in copies, which call their own weights."""
    latents = torch.randn(2, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    own = model.decode(latents)
    with model.set_attention("sdpa", role="vae"):
        assert any("forward" in module.__dict__ for module in model.vae.modules())
        served, copied = model.decode(latents), copy.deepcopy(model.vae)
    assert torch.allclose(served, own, atol=1e-5)
    assert torch.equal(model.decode(latents), own)
    for module in copied.modules():
        if type(module).__name__ == "QwenImageAttentionBlock":
            torch.nn.init.zeros_(module.proj.weight)
            torch.nn.init.zeros_(module.proj.bias)
            states = torch.randn(1, module.dim, 1, 4, 4)
            assert torch.equal(module(states), states)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("transformer.transformer_blocks.0.attn.to_q", (64, 64)),
        ("diffusion_model.transformer_blocks.0.img_mlp.net.2", (64, 256)),
        ("lora_unet_transformer_blocks_0_attn_add_k_proj", (64, 64)),
        ("lora_te_layers_0_self_attn_q_proj", (48, WIDTH)),
    ],
)
def test_loras_are_understood(model: QwenImage, tmp_path: Path, name: str, shape: tuple[int, int]) -> None:
    rows, columns = shape
    ends = ("lora_down", "lora_up") if name.startswith("lora_") else ("lora_A", "lora_B")
    shapes = zip(ends, ((2, columns), (rows, 2)), strict=True)
    save_file({f"{name}.{end}.weight": torch.ones(each) for end, each in shapes}, tmp_path / "l.safetensors")
    (match,) = model.checkpoint.match_loras([tmp_path / "l.safetensors"])
    assert (match.layers, match.unmatched) == (1, ())
    x = torch.ones(1, 8, 16, 16)
    before = model.predict(x, 500.0, model.encode_prompt([PROMPT], SETTINGS))
    with model.set_loras([LoraRequest(path=str(tmp_path / "l.safetensors"))]):
        assert not torch.equal(model.predict(x, 500.0, model.encode_prompt([PROMPT], SETTINGS)), before)


SPOILT: dict[str, tuple[Spoil, str]] = {
    "transformer lacks a tensor": (
        lambda f: edit_weights(f / "transformer/diffusion_pytorch_model.safetensors", drop="txt_norm.weight"),
        "lacks txt_norm.weight",
    ),
    "autoencoder of another model": (lambda f: edit(f / "vae/config.json", z_dim=4), "in_channels is 32, and .* is 16"),
    "text encoder of another width": (
        lambda f: edit(f / "transformer/config.json", joint_attention_dim=64),
        "joint_attention_dim is 64, and the text encoder's hidden_size is 48",
    ),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_spoilt_checkpoint_is_one_clear_error(folder: Path, tmp_path: Path, what: str) -> None:
    spoil, message = SPOILT[what]
    spoilt = copied(folder, tmp_path / "spoilt")
    spoil(spoilt)
    with pytest.raises(ModelError, match=message) as caught:
        open_checkpoint(ModelFiles(spoilt), "image").load(CPU, torch.float32)
    assert caught.value.remedy
