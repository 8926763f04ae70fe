"""ControlNets as they are published: parameter counts on the meta device, layouts, and what headers say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file
from support.controlnets import write_controlnet, write_flux_controlnet
from support.models import write_stable_diffusion
from support.models_flux import write_flux

from latentry import IncompatibleError, ModelFiles
from latentry_controlnet.checkpoint import open_conditioner
from latentry_controlnet.detect import detect
from latentry_controlnet.layouts import controlnet_pairs, xlabs_pairs
from latentry_controlnet.networks import likely_unet
from latentry_diffusers.layouts.pair import backward

SD15: Mapping[str, Any] = {"cross_attention_dim": 768, "attention_head_dim": 8}
SDXL: Mapping[str, Any] = {
    "cross_attention_dim": 2048,
    "attention_head_dim": (5, 10, 20),
    "use_linear_projection": True,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
HALVES: Mapping[str, tuple[Any, Mapping[str, Any], int]] = {
    "controlnet-canny-sdxl-1.0": (diffusers.ControlNetModel, SDXL, 2_502_139_104),
    "controlnet-union-sdxl-1.0 promax": (
        diffusers.ControlNetUnionModel,
        {**SDXL, "num_control_type": 8, "conditioning_embedding_out_channels": (16, 32, 96, 256)},
        2_513_342_408,
    ),
    "FLUX.1-dev-Controlnet-Union, and -Union-Pro": (
        diffusers.FluxControlNetModel,
        {"num_layers": 5, "num_single_layers": 10, "guidance_embeds": True, "num_mode": 10},
        6_603_953_920,
    ),
    "flux-canny-controlnet-v3 of XLabs": (
        diffusers.FluxControlNetModel,
        {"num_layers": 2, "num_single_layers": 0, "guidance_embeds": True, "conditioning_embedding_channels": 16},
        1_487_623_552,
    ),
    "SD3-Controlnet-Canny": (
        diffusers.SD3ControlNetModel,
        {"num_layers": 6, "num_attention_heads": 24, "caption_projection_dim": 1536, "pos_embed_max_size": 192},
        1_190_879_768,
    ),
}
"""Networks, and the bytes of their published files, which hold two for each weight and a header."""
HEADER = 400_000
SD35_LARGE: Mapping[str, Any] = {
    "num_layers": 19,
    "num_attention_heads": 38,
    "joint_attention_dim": None,
    "caption_projection_dim": 2048,
    "pos_embed_max_size": None,
    "pos_embed_type": None,
    "use_pos_embed": False,
    "force_zeros_for_pooled_projection": False,
}
"""Of Stability's ControlNets for SD3.5 Large."""
SD35_FILE = 8_654_590_644
"""The bytes of sd3.5_large_controlnet_canny.safetensors, four for each weight."""


def counted(kind: Any, config: Mapping[str, Any]) -> int:
    """With tables of positions, which are in the files of SD3."""
    with torch.device("meta"):
        return sum(weight.numel() for weight in kind(**config).state_dict().values())


@pytest.mark.parametrize("name", HALVES)
def test_the_published_networks_have_the_size_of_their_files(name: str) -> None:
    kind, config, size = HALVES[name]
    assert 0 < size - 2 * counted(kind, config) < HEADER


def test_those_for_sd35_leave_out_two_embeddings_of_their_files() -> None:
    """Without text: there is room for embeddings of its tokens and of latents in the file, and for nothing else."""
    width = 38 * 64
    left_out = (4096 + 1) * width + (2 * 2 * 16 + 1) * width
    assert 0 < SD35_FILE - 4 * (counted(diffusers.SD3ControlNetModel, SD35_LARGE) + left_out) < HEADER


def test_that_of_stable_diffusion_is_a_copy_of_half_its_unet() -> None:
    """Zhang et al. 2023 count 361 million weights."""
    with torch.device("meta"):
        unet = diffusers.UNet2DConditionModel(**SD15)
    built = counted(diffusers.ControlNetModel, SD15)
    assert built == counted(diffusers.ControlNetModel, likely_unet(unet.config))
    assert round(built / 1e6) == 361


def base(model: Path) -> Any:
    """What a ControlNet is opened for: configurations alone."""

    def config(part: str) -> Any:
        return json.loads((model / part / "config.json").read_text())

    return SimpleNamespace(bundle=SimpleNamespace(config=config))


def written(network: Path, pairs: Any, file: Path, prefix: str = "") -> Path:
    """A tiny network in an original layout."""
    tensors = load_file(network / "diffusion_pytorch_model.safetensors")
    table = [pair for pair in pairs if all(name in tensors for name in pair.diffusers)]
    assert {name for pair in table for name in pair.diffusers} == set(tensors)
    save_file({prefix + pair.original: backward(pair, tensors).contiguous() for pair in table}, file)
    return file


def loaded(files: Path, family: str, model: Path) -> dict[str, torch.Tensor]:
    checkpoint = open_conditioner(ModelFiles(files), family, base(model))
    conditioner: Any = checkpoint.load(torch.device("cpu"), torch.float32)
    state: dict[str, torch.Tensor] = conditioner.network.state_dict()
    return state


def same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def sd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny model, and a ControlNet whose embedding has as many convolutions as published ones."""
    root = tmp_path_factory.mktemp("sd")
    model = write_stable_diffusion(root / "model")
    network = write_controlnet(root / "net", model, conditioning_embedding_out_channels=(8, 16, 24, 32))
    return model, network


@pytest.mark.parametrize("prefix", ["control_model.", ""])
def test_the_original_layout(sd: tuple[Path, Path], tmp_path: Path, prefix: str) -> None:
    model, network = sd
    config = {**base(network.parent).bundle.config("net")}
    file = written(network, controlnet_pairs(config), tmp_path / "original.safetensors", prefix)
    found = detect(ModelFiles(file))
    assert found is not None
    assert found.variants == ("unet",)
    assert same(loaded(file, "latentry-sd:sd", model), loaded(network, "latentry-sd:sd", model))


def test_a_file_with_diffusers_names_and_without_a_configuration(sd: tuple[Path, Path], tmp_path: Path) -> None:
    model, network = sd
    file = tmp_path / "alone.safetensors"
    file.write_bytes((network / "diffusion_pytorch_model.safetensors").read_bytes())
    assert same(loaded(file, "latentry-sd:sd", model), loaded(network, "latentry-sd:sd", model))


def test_the_layout_of_xlabs(tmp_path: Path) -> None:
    model = write_flux(tmp_path / "flux")
    options = {"num_layers": 2, "num_single_layers": 0, "conditioning_embedding_channels": 16}
    network = write_flux_controlnet(tmp_path / "net", model, **options)
    config = {**base(tmp_path).bundle.config("net")}
    file = written(network, xlabs_pairs(config), tmp_path / "xlabs.safetensors")
    found = detect(ModelFiles(file))
    assert found is not None
    assert found.variants == ("flux",)
    assert same(loaded(file, "latentry-flux:flux", model), loaded(network, "latentry-flux:flux", model))


@pytest.mark.parametrize(("name", "label"), [("lora_controlnet", "Control-LoRA"), ("lllite_unet.x.down", "LLLite")])
def test_other_kinds_are_refused_by_name(tmp_path: Path, name: str, label: str) -> None:
    file = tmp_path / "other.safetensors"
    save_file({name: torch.zeros(1), "input_hint_block.0.weight": torch.zeros(1)}, file)
    found = detect(ModelFiles(file))
    assert found is not None
    assert found.variants == ()
    assert label in found.label


def test_one_for_another_unet_is_refused(sd: tuple[Path, Path], tmp_path: Path) -> None:
    model, _ = sd
    other = write_controlnet(tmp_path / "wide", model, block_out_channels=(32, 96))
    with pytest.raises(IncompatibleError, match="does not fit") as refused:
        open_conditioner(ModelFiles(other), "latentry-sd:sd", base(model))
    assert "block_out_channels" in refused.value.why
