"""Files of LoRAs: what is read of them, and everything that is refused, by name and with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from support.loras import write
from torch import Tensor

from latentry import ModelError
from latentry_diffusers.lora._file import LoraFile, read_lora

LAYER = "lora_unet_mid_block_attentions_0_proj_in"


def factors(rank: int = 2, layer: str = LAYER) -> dict[str, Tensor]:
    """Of one layer, in kohya's layout."""
    return {f"{layer}.lora_down.weight": torch.ones(rank, 8), f"{layer}.lora_up.weight": torch.ones(6, rank)}


def read(path: Path, tensors: Mapping[str, Tensor], **metadata: str) -> LoraFile:
    """What is read of these tensors."""
    return read_lora(write(path / "some.safetensors", tensors, **metadata))


@pytest.mark.parametrize(
    ("down", "up"),
    [
        ("a.b.lora_down.weight", "a.b.lora_up.weight"),
        ("a.b.lora_A.weight", "a.b.lora_B.weight"),
        ("a.b.lora_A.default.weight", "a.b.lora_B.default.weight"),
        ("a.b.lora.down.weight", "a.b.lora.up.weight"),
        ("a.b.lora_linear_layer.down.weight", "a.b.lora_linear_layer.up.weight"),
    ],
)
def test_every_layout_names_its_factors(tmp_path: Path, down: str, up: str) -> None:
    (layer,) = read(tmp_path, {up: torch.ones(6, 3), down: torch.ones(3, 8)}).layers
    assert (layer.name, layer.down, layer.up, layer.rank, layer.scale) == ("a.b", down, up, 3, 1.0)


def test_factors_of_diffusers_old_processors_are_named_after_the_projection(tmp_path: Path) -> None:
    name = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora"
    (layer,) = read(tmp_path, {f"{name}.up.weight": torch.ones(6, 3), f"{name}.down.weight": torch.ones(3, 8)}).layers
    assert layer.name == name


def test_alpha_is_divided_by_the_rank(tmp_path: Path) -> None:
    file = read(tmp_path, factors(4) | {f"{LAYER}.alpha": torch.tensor(6.0), "stranger": torch.ones(1)})
    assert file.layers[0].scale == 1.5
    assert file.rest == ("stranger",)


def peft_folder(folder: Path, **settings: Any) -> Path:
    """As PEFT saves one."""
    layer = "base_model.model.block.to_q"
    tensors = {f"{layer}.lora_A.weight": torch.ones(4, 8), f"{layer}.lora_B.weight": torch.ones(8, 4)}
    write(folder / "adapter_model.safetensors", tensors)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4} | settings))
    return folder


@pytest.mark.parametrize(
    ("settings", "scale"),
    [
        ({"lora_alpha": 8}, 2.0),
        ({"lora_alpha": 8, "use_rslora": True}, 4.0),
        ({"lora_alpha": 8, "alpha_pattern": {"to_q": 1}}, 0.25),
        ({"lora_alpha": 8, "alpha_pattern": {r"^block\.to_q$": 1}}, 0.25),
        ({"lora_alpha": 8, "alpha_pattern": {"^to_q": 1, "k.to_q": 2, "block": 3}}, 2.0),
        ({}, 1.0),
    ],
)
def test_pefts_settings_beside_the_file_say_alpha(tmp_path: Path, settings: dict[str, Any], scale: float) -> None:
    file = read_lora(peft_folder(tmp_path, **settings))
    assert file.layers[0].scale == scale
    assert file.notes == ()


def test_alpha_that_nobody_says_is_told(tmp_path: Path) -> None:
    (peft_folder(tmp_path) / "adapter_config.json").unlink()
    file = read_lora(tmp_path / "adapter_model.safetensors")
    assert file.layers[0].scale == 1.0
    assert "does not say its alpha" in file.notes[0]


def test_settings_in_the_file_are_told_apart_by_part(tmp_path: Path) -> None:
    tensors = {
        f"{part}.block.to_q.lora_{factor}.weight": torch.ones(4, 4)
        for part in ("transformer", "text_encoder")
        for factor in "AB"
    }
    said = json.dumps({"transformer.lora_alpha": 8, "text_encoder.lora_alpha": 2, "text_encoder.alpha_pattern": {}})
    file = read(tmp_path, tensors, lora_adapter_metadata=said)
    assert {layer.name.split(".")[0]: layer.scale for layer in file.layers} == {"transformer": 2.0, "text_encoder": 0.5}


def other(key: str) -> Callable[[Path], object]:
    """A file with one more key, of another kind of adapter."""
    return lambda file: write(file, factors() | {key: torch.ones(1)})


def plain(tensors: Mapping[str, Tensor], **metadata: str) -> Callable[[Path], object]:
    """A file of these tensors."""
    return lambda file: write(file, tensors, **metadata)


NO_RANK = {f"{LAYER}.lora_down.weight": torch.ones(0, 8), f"{LAYER}.lora_up.weight": torch.ones(6, 0)}
TWO_RANKS = factors(2) | {f"{LAYER}.lora_up.weight": torch.ones(6, 3)}
NO_MATRIX = factors(2) | {f"{LAYER}.lora_up.weight": torch.ones(6)}
NO_UP = {f"{LAYER}.lora_down.weight": torch.ones(2, 8)}
REFUSED: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "not there": (lambda file: None, ("There is no LoRA", "some.safetensors")),
    "a pickle": (lambda file: file.write_bytes(b"PK\x03\x04" + bytes(64)), ("pickle",)),
    "cut short": (lambda file: (plain(factors())(file), file.write_bytes(file.read_bytes()[:-9])), ("damaged",)),
    "LoHa": (other(f"{LAYER}.hada_w1_a"), ("no plain LoRA", "LoHa", f"{LAYER}.hada_w1_a")),
    "LoKr": (other(f"{LAYER}.lokr_w2"), ("LoKr", "Kronecker")),
    "DoRA": (other(f"{LAYER}.dora_scale"), ("DoRA", f"{LAYER}.dora_scale")),
    "PEFT's DoRA": (other("base_model.model.q.lora_magnitude_vector.default.weight"), ("DoRA",)),
    "OFT": (other(f"{LAYER}.oft_blocks"), ("OFT",)),
    "Tucker": (other(f"{LAYER}.lora_mid.weight"), ("Tucker",)),
    "GLoRA": (other(f"{LAYER}.a1.weight"), ("GLoRA",)),
    "differences": (other(f"{LAYER}.diff"), ("whole weights",)),
    "biases": (other("transformer.x_embedder.lora_B.bias"), ("biases", "control")),
    "XLabs' layout": (other("double_blocks.0.processor.qkv_lora1.down.weight"), ("XLabs' layout", "qkv_lora1")),
    "no factors": (plain({"unet.conv_in.weight": torch.ones(1)}), ("holds no LoRA", "unet.conv_in.weight")),
    "a missing factor": (plain(NO_UP), (f"{LAYER}.lora_down.weight", "no counterpart", "up factor is not")),
    "no rank": (plain(NO_RANK), (f"{LAYER}.lora_down.weight", "(0, 8)", "rank is 0")),
    "two ranks": (plain(TWO_RANKS), (f"{LAYER}.lora_down.weight has the rank 2", "3")),
    "no matrix": (plain(NO_MATRIX), (f"{LAYER}.lora_up.weight", "(6,)", "no factors of a matrix")),
    "no alpha": (plain(factors() | {f"{LAYER}.alpha": torch.tensor(torch.nan)}), (f"{LAYER}.alpha", "nan")),
    "no settings": (plain(factors(), lora_adapter_metadata="{"), ("settings", "lora_adapter_metadata")),
    "a list of settings": (plain(factors(), lora_adapter_metadata="[1]"), ("settings", "no JSON object")),
    "alpha in words": (plain(factors(), lora_adapter_metadata='{"lora_alpha": "much"}'), ("settings", "lora_alpha")),
    "a regular expression": (
        plain(factors(), lora_adapter_metadata='{"alpha_pattern": {"(a+)+b": 1}}'),
        ("alpha_pattern", "(a+)+b", "no name of a layer"),
    ),
    "settings of DoRA": (plain(factors(), lora_adapter_metadata='{"unet.use_dora": true}'), ("DoRA",)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_lora_is_refused(tmp_path: Path, case: str) -> None:
    spoil, words = REFUSED[case]
    file = tmp_path / "some.safetensors"
    spoil(file)
    with pytest.raises(ModelError) as refused:
        read_lora(file)
    missing = [word for word in words if word not in str(refused.value)]
    assert not missing, str(refused.value)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_values_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    spoilt = factors()
    spoilt[f"{LAYER}.lora_up.weight"][3, 1] = value
    with pytest.raises(ModelError, match=rf"{LAYER}.lora_up.weight holds values that are not finite"):
        read(tmp_path, spoilt).check_values()
    read(tmp_path, factors()).check_values()


def test_a_folder_of_several_files_is_refused(tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / f"{name}.safetensors", factors())
    with pytest.raises(ModelError, match=r"several: a.safetensors, b.safetensors"):
        read_lora(tmp_path)
    assert read_lora(tmp_path / "a.safetensors").layers
