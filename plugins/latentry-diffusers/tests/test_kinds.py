"""What files and folders are that are not models, at full size and from headers alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from support.sparse import Shapes, originals, prefixed, shapes_of, write_sparse, write_sparse_gguf

from latentry import FileKind, ModelFiles
from latentry_diffusers.bundle.published import CLIP_G, CLIP_L, T5_XXL, VAE_4, VAE_16
from latentry_diffusers.files.read import read_headers
from latentry_diffusers.layouts.clip import clip_pairs, open_clip_pairs
from latentry_diffusers.layouts.t5 import t5_gguf_pairs
from latentry_diffusers.layouts.vae import vae_pairs
from latentry_diffusers.recognise.folders import kind_of_folder
from latentry_diffusers.recognise.kinds import Kind, kind_of
from latentry_diffusers.recognise.recognise import SURE, Family, recognise


def kind(file: Path) -> Kind:
    found = kind_of(read_headers(file))
    assert found is not None
    return found


def meta(build: Callable[..., Any], *configs: Any, **settings: Any) -> Any:
    with torch.device("meta"):
        return build(*configs, **settings)


def clip(config: Mapping[str, Any], **changes: Any) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    return meta(CLIPTextModelWithProjection, CLIPTextConfig(**{**config, **changes}))


def t5(**changes: Any) -> Any:
    from transformers import T5Config, T5EncoderModel

    return meta(T5EncoderModel, T5Config(**{**T5_XXL, **changes}))


def lora(*layers: str, inputs: int, outputs: int = 640, rank: int = 8, form: str = "kohya") -> Shapes:
    """The factors of some layers' changes, under the names that a program gives them."""
    down, up = {"kohya": ("lora_down", "lora_up"), "peft": ("lora_A", "lora_B"), "old": ("down", "up")}[form]
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in layers:
        shapes |= {f"{layer}.{down}.weight": (rank, inputs), f"{layer}.{up}.weight": (outputs, rank)}
        shapes |= {f"{layer}.alpha": ()} if form == "kohya" else {}
    return shapes


CROSS = "down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
DOTTED = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
LORAS: Mapping[str, tuple[Shapes, Mapping[str, str], str]] = {
    "kohya, 1.x": (lora(f"lora_unet_{CROSS}", inputs=768), {}, "a LoRA for Stable Diffusion 1.x"),
    "kohya, 2.x": (lora(f"lora_unet_{CROSS}", inputs=1024), {}, "a LoRA for Stable Diffusion 2.x"),
    "kohya, XL": (lora(f"lora_unet_{CROSS}", inputs=2048), {}, "a LoRA for Stable Diffusion XL"),
    "kohya, refiner": (lora(f"lora_unet_{CROSS}", inputs=1280), {}, "a LoRA for the refiner of Stable Diffusion XL"),
    "kohya, second encoder": (
        lora("lora_te2_text_model_encoder_layers_0_self_attn_q_proj", inputs=1280),
        {},
        "a LoRA for Stable Diffusion XL",
    ),
    "kohya, first encoder": (lora("lora_te_text_model_encoder_layers_0_mlp_fc1", inputs=768), {}, "a LoRA"),
    "kohya, first encoder, told": (
        lora("lora_te_text_model_encoder_layers_0_mlp_fc1", inputs=768),
        {"ss_base_model_version": "sd_v1"},
        "a LoRA for Stable Diffusion 1.x",
    ),
    "kohya, self-attention, told": (
        lora("lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q", inputs=640),
        {"modelspec__architecture": "stable-diffusion-xl-v1-base/lora"},
        "a LoRA for Stable Diffusion XL",
    ),
    "kohya, FLUX": (lora("lora_unet_double_blocks_0_img_attn_qkv", inputs=3072), {}, "a LoRA for FLUX.1"),
    "kohya, SD3": (lora("lora_unet_joint_blocks_0_x_block_attn_qkv", inputs=1536), {}, "a LoRA for Stable Diffusion 3"),
    "PEFT, 1.x": (
        lora(f"base_model.model.{DOTTED}", inputs=768, form="peft"),
        {},
        "a LoRA for Stable Diffusion 1.x",
    ),
    "diffusers, XL": (lora(f"unet.{DOTTED}", inputs=2048, form="peft"), {}, "a LoRA for Stable Diffusion XL"),
    "diffusers, FLUX": (
        lora("transformer.single_transformer_blocks.0.attn.to_q", inputs=3072, form="peft"),
        {},
        "a LoRA for FLUX.1",
    ),
    "diffusers, FLUX, double blocks": (
        lora("transformer.transformer_blocks.0.attn.add_k_proj", inputs=3072, form="peft"),
        {},
        "a LoRA for FLUX.1",
    ),
    "diffusers, SD3": (
        lora("transformer.transformer_blocks.0.attn.add_k_proj", inputs=2432, form="peft"),
        {},
        "a LoRA for Stable Diffusion 3",
    ),
    "diffusers of old": (
        lora(f"unet.{DOTTED.removesuffix('to_k')}processor.to_k_lora", inputs=768, form="old"),
        {},
        "a LoRA for Stable Diffusion 1.x",
    ),
    "XLabs": (
        lora("double_blocks.0.processor.qkv_lora1", inputs=3072, form="old"),
        {},
        "a LoRA in XLabs' layout for FLUX.1",
    ),
    "LoHa": ({f"lora_unet_{CROSS}.hada_w1_a": (640, 8), f"lora_unet_{CROSS}.alpha": ()}, {}, "a LoHa adapter"),
    "of another model": (lora("diffusion_model.blocks.0.cross_attn.k", inputs=5120, form="peft"), {}, "a LoRA"),
}


@pytest.mark.parametrize("case", LORAS)
def test_a_lora_is_named_with_what_it_is_for(tmp_path: Path, case: str) -> None:
    shapes, metadata, words = LORAS[case]
    found = kind(write_sparse(tmp_path / "lora.safetensors", shapes, **metadata))
    assert found.words == words
    assert ("nothing in it tells which family" in found.evidence) == (" for " not in words)


def test_the_rank_of_a_lora_is_not_taken_for_a_width(tmp_path: Path) -> None:
    shapes = lora(f"lora_unet_{CROSS}", inputs=2048, rank=1024)
    second_first = dict(sorted(shapes.items(), reverse=True))
    assert next(iter(second_first)).endswith("lora_up.weight")
    assert kind(write_sparse(tmp_path / "lora.safetensors", second_first)).words == "a LoRA for Stable Diffusion XL"


@pytest.mark.parametrize(("config", "channels"), [(VAE_4, 4), (VAE_16, 16)])
def test_an_autoencoder_is_named_with_its_channels(tmp_path: Path, config: Mapping[str, Any], channels: int) -> None:
    from diffusers import AutoencoderKL

    vae = meta(AutoencoderKL, **config)
    original = originals(vae, vae_pairs(vae.config))
    for number, shapes in enumerate((shapes_of(vae), original, prefixed("first_stage_model.", original))):
        found = kind(write_sparse(tmp_path / f"{number}.safetensors", shapes))
        assert found.words == f"an autoencoder with {channels} latent channels"


def test_a_tiny_autoencoder_is_named(tmp_path: Path) -> None:
    from diffusers import AutoencoderTiny

    file = write_sparse(tmp_path / "taesd.safetensors", shapes_of(meta(AutoencoderTiny)))
    assert kind(file).words == "a tiny autoencoder"


UNET = {"block_out_channels": (320, 640), "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D")}


@pytest.mark.parametrize(
    ("text", "label", "family"),
    [(768, "Stable Diffusion 1.x", "sd"), (1024, "Stable Diffusion 2.x", "sd"), (2048, "Stable Diffusion XL", "sdxl")],
)
def test_a_controlnet_is_named_with_what_it_is_for(tmp_path: Path, text: int, label: str, family: str) -> None:
    from diffusers import ControlNetModel

    network = meta(ControlNetModel, **UNET, cross_attention_dim=text)
    found = kind(write_sparse(tmp_path / "control.safetensors", shapes_of(network)))
    assert (found.words, found.family) == (f"a ControlNet for {label}", family)


def test_controlnets_of_transformers_are_named(tmp_path: Path) -> None:
    from diffusers import FluxControlNetModel, SD3ControlNetModel

    flux = meta(FluxControlNetModel, num_layers=1, num_single_layers=1)
    sd3 = meta(SD3ControlNetModel, num_layers=1, num_attention_heads=24, caption_projection_dim=1536)
    assert kind(write_sparse(tmp_path / "f.safetensors", shapes_of(flux))).words == "a ControlNet for FLUX.1"
    assert kind(write_sparse(tmp_path / "s.safetensors", shapes_of(sd3))).words == "a ControlNet for Stable Diffusion 3"


@pytest.mark.parametrize("prefix", ["control_model.", ""])
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "with the model it steers"])
def test_an_original_controlnet_is_named(tmp_path: Path, prefix: str, inside: bool) -> None:
    shapes = {
        f"{prefix}input_blocks.0.0.weight": (320, 4, 3, 3),
        f"{prefix}input_blocks.1.0.out_layers.3.weight": (320, 320, 3, 3),
        f"{prefix}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768),
        f"{prefix}input_hint_block.0.weight": (16, 3, 3, 3),
        f"{prefix}zero_convs.0.0.weight": (320, 320, 1, 1),
    }
    if inside:
        shapes |= {f"model.diffusion_model.{name.removeprefix(prefix)}": shapes[name] for name in list(shapes)[:3]}
    found = kind(write_sparse(tmp_path / "control.safetensors", shapes))
    assert found.words == "a ControlNet for Stable Diffusion 1.x"


NAMED: Mapping[str, tuple[Shapes, str]] = {
    "Control-LoRA": ({"lora_controlnet": (), "input_blocks.0.0.weight": (320, 4, 3, 3)}, "a Control-LoRA"),
    "LLLite": ({"lllite_unet_input_blocks_4_1.conditioning1.0.weight": (32, 3, 4, 4)}, "a ControlNet-LLLite"),
    "T2I-Adapter": ({"adapter.body.0.resnets.0.block1.weight": (320, 320, 3, 3)}, "a T2I-Adapter"),
    "ESRGAN": ({"conv_first.weight": (64, 3, 3, 3), "body.0.rdb1.conv1.weight": (32, 64, 3, 3)}, "an upscaler"),
    "ESRGAN of old": (
        {"model.0.weight": (64, 3, 3, 3), "model.1.sub.0.RDB1.conv1.0.weight": (32, 64, 3, 3)},
        "an upscaler",
    ),
    "compact": ({"body.0.weight": (64, 3, 3, 3), "body.0.bias": (64,), "body.1.weight": (64,)}, "an upscaler"),
    "IP-Adapter": (
        {"image_proj.proj.weight": (3072, 1024), "ip_adapter.1.to_k_ip.weight": (320, 768)},
        "an IP-Adapter",
    ),
    "Redux": ({"redux_up.weight": (12288, 1152)}, "an image prompt adapter (Redux)"),
    "AnimateDiff": (
        {"down_blocks.0.motion_modules.0.temporal_transformer.norm.weight": (320,)},
        "a motion module",
    ),
    "embedding": ({"emb_params": (8, 768)}, "a textual inversion embedding"),
    "embedding of a small model": ({"emb_params": (8, 32)}, "a textual inversion embedding"),
    "embedding, diffusers": ({"<my-cat>": (1024,)}, "a textual inversion embedding"),
    "embedding, XL": (
        {"clip_l": (4, 768), "clip_g": (4, 1280)},
        "a textual inversion embedding for Stable Diffusion XL",
    ),
    "image encoder": ({"vision_model.embeddings.class_embedding": (1280,)}, "an image encoder"),
    "language model": ({"model.layers.0.self_attn.q_proj.weight": (4096, 4096)}, "a language model"),
    "video autoencoder": ({"decoder.conv_in.weight": (512, 16, 3, 3, 3)}, "an autoencoder for video"),
}


@pytest.mark.parametrize("case", NAMED)
def test_what_else_there_is_is_named(tmp_path: Path, case: str) -> None:
    shapes, words = NAMED[case]
    found = kind(write_sparse(tmp_path / "file.safetensors", shapes))
    assert found.words.startswith(words)
    assert found.evidence
    assert (found.kind is FileKind.EMBEDDING) == case.startswith("embedding")


@pytest.mark.slow
def test_the_latent_upscaler_is_named(tmp_path: Path) -> None:
    from diffusers import UNet2DConditionModel

    ups = {"up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D")}
    unet = meta(UNet2DConditionModel, **UNET, **ups, in_channels=7, cross_attention_dim=1024)
    assert kind(write_sparse(tmp_path / "unet.safetensors", shapes_of(unet))).words == "an upscaler"
    unet = meta(UNet2DConditionModel, **UNET, **ups, in_channels=4, cross_attention_dim=1024)
    assert kind_of(read_headers(write_sparse(tmp_path / "other.safetensors", shapes_of(unet)))) is None


OPEN_CLIP_H = {**CLIP_L, "hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16}


@pytest.mark.parametrize(
    ("config", "layers", "name"),
    [(CLIP_L, 12, "CLIP-L"), (CLIP_G, 32, "CLIP-G"), (OPEN_CLIP_H, 23, "OpenCLIP-H"), (OPEN_CLIP_H, 24, "OpenCLIP-H")],
)
def test_clip_is_named_in_every_layout(tmp_path: Path, config: Mapping[str, Any], layers: int, name: str) -> None:
    encoder = clip(config, num_hidden_layers=layers)
    settings = encoder.config.to_dict()
    bare = {key.removeprefix("text_model."): shape for key, shape in shapes_of(encoder).items()}
    forms = (
        shapes_of(encoder),
        bare,
        originals(encoder, clip_pairs(settings, projected=True), "text_encoders.clip_l.transformer."),
        originals(encoder, open_clip_pairs(settings, projected=True)),
        originals(encoder, open_clip_pairs(settings, projected=True), "conditioner.embedders.1.model."),
    )
    for number, shapes in enumerate(forms):
        found = kind(write_sparse(tmp_path / f"{number}.safetensors", shapes))
        assert (found.words, found.evidence) == (
            f"a text encoder ({name})",
            f"it has {layers} layers of width {config['hidden_size']}",
        )


@pytest.mark.parametrize("form", ["safetensors", "gguf"])
def test_t5_is_named(tmp_path: Path, form: str) -> None:
    encoder = t5()
    if form == "gguf":
        shapes = originals(encoder, t5_gguf_pairs(encoder.config.to_dict()))
        file = write_sparse_gguf(tmp_path / "t5.gguf", shapes, "t5encoder")
    else:
        file = write_sparse(tmp_path / "t5.safetensors", shapes_of(encoder))
    assert kind(file).words == "a text encoder (T5-XXL)"


def test_a_text_encoder_of_its_own_shape_is_one(tmp_path: Path) -> None:
    file = write_sparse(tmp_path / "t5.safetensors", shapes_of(t5(d_model=96, num_layers=2)))
    assert kind(file).words == "a text encoder (T5)"
    assert "which no published one has" in kind(file).evidence


def test_nothing_is_made_up(tmp_path: Path) -> None:
    assert kind_of(read_headers(write_sparse(tmp_path / "a.safetensors", {"layer.weight": (3, 3)}))) is None
    assert kind_of(read_headers(write_sparse(tmp_path / "b.safetensors", {}))) is None


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"_class_name": "ControlNetModel"}, "a ControlNet"),
        ({"_class_name": "FluxControlNetModel"}, "a ControlNet"),
        ({"_class_name": "AutoencoderKL"}, "an autoencoder"),
        ({"_class_name": "UNet2DConditionModel", "in_channels": 7}, "an upscaler"),
        ({"_class_name": "UNet2DConditionModel", "in_channels": 4}, "a UNet alone"),
        ({"_class_name": "FluxTransformer2DModel"}, "a transformer alone"),
        ({"_class_name": "T2IAdapter"}, "a T2I-Adapter"),
        ({"architectures": ["CLIPTextModelWithProjection"]}, "a text encoder"),
        ({"architectures": ["T5EncoderModel"]}, "a text encoder"),
        ({"architectures": ["CLIPVisionModelWithProjection"]}, "an image encoder"),
        ({"architectures": "T5EncoderModel"}, None),
        ({"_class_name": ["T5EncoderModel"]}, None),
        ({"_class_name": "SomethingElse"}, None),
    ],
    ids=str,
)
def test_a_folder_with_a_configuration_is_named_by_its_class(
    tmp_path: Path, config: dict[str, Any], words: str | None
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = kind_of_folder(tmp_path, read_headers)
    assert (found.words if found else None) == words


def test_other_folders_are_named(tmp_path: Path) -> None:
    def folder(name: str, file: str, content: str = "{}") -> Path:
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(content)
        return tmp_path / name

    def words(path: Path) -> str | None:
        found = kind_of_folder(path, read_headers)
        return found.words if found else None

    upscaler = '{"_class_name": "StableDiffusionUpscalePipeline"}'
    assert words(folder("upscaler", "model_index.json", upscaler)) == "an upscaler"
    assert words(folder("model", "model_index.json", '{"_class_name": "StableDiffusionPipeline"}')) is None
    assert words(folder("tokenizer", "tokenizer_config.json")) == "a tokenizer"
    noise = '{"_class_name": "DDIMScheduler"}'
    assert words(folder("scheduler", "scheduler_config.json", noise)) == "the settings of a scheduler"
    assert words(folder("nothing", "readme.json")) is None
    shapes = lora("transformer.single_transformer_blocks.0.attn.to_q", inputs=3072, form="peft")
    write_sparse(tmp_path / "nothing" / "pytorch_lora_weights.safetensors", shapes)
    assert words(tmp_path / "nothing") == "a LoRA for FLUX.1"


def test_a_lora_among_other_files_is_measured_alone(tmp_path: Path) -> None:
    other = Family("other", lambda path: None, lambda weights: None)
    shapes = lora("transformer.single_transformer_blocks.0.attn.to_q", inputs=3072, outputs=3072, form="peft")
    write_sparse(tmp_path / "pytorch_lora_weights.safetensors", shapes)
    write_sparse(tmp_path / "step-100.safetensors", shapes)
    found = recognise(ModelFiles(tmp_path), other)
    assert found is not None
    assert (found.kind, found.label) == (FileKind.LORA, "a LoRA for FLUX.1")
    assert (found.parameters, found.variants) == (2 * 8 * 3072, ())
    assert found.score < SURE
    own = recognise(ModelFiles(tmp_path), Family("flux", other.in_folder, other.in_file))
    assert own is not None
    assert own.score == SURE
