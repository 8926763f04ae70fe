"""Files of LoRAs: what is read from them, and what is refused, by name and with the reason."""

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
from latentry_diffusers.lora._reading._file import LoraFile, read_lora

LAYER = "lora_unet_mid_block_attentions_0_proj_in"


def factors(rank: int = 2, layer: str = LAYER) -> dict[str, Tensor]:
    """The factors of one layer, in kohya's layout."""
    return {f"{layer}.lora_down.weight": torch.ones(rank, 8), f"{layer}.lora_up.weight": torch.ones(6, rank)}


def read(path: Path, tensors: Mapping[str, Tensor], **metadata: str) -> LoraFile:
    """What is read from a file of these tensors."""
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
    assert (layer.name, layer.keys, layer.made.rank, layer.scale) == ("a.b", {"down": down, "up": up}, 3, 1.0)


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
def test_alpha_comes_from_the_settings_next_to_pefts_file(
    tmp_path: Path, settings: dict[str, Any], scale: float
) -> None:
    file = read_lora(peft_folder(tmp_path, **settings))
    assert file.layers[0].scale == scale
    assert file.notes == ()


def test_a_note_says_that_alpha_is_not_known(tmp_path: Path) -> None:
    (peft_folder(tmp_path) / "adapter_config.json").unlink()
    file = read_lora(tmp_path / "adapter_model.safetensors")
    assert file.layers[0].scale == 1.0
    assert "does not give its alpha" in file.notes[0]


@pytest.mark.parametrize(
    ("tensors", "settings", "scale"),
    [
        (
            {"x.hada_w1_a": (6, 2), "x.hada_w1_b": (2, 8), "x.hada_w2_a": (6, 2), "x.hada_w2_b": (2, 8)},
            {"alpha": 5},
            2.5,
        ),
        ({"x.lokr_w1": (2, 2), "x.lokr_w2_a": (3, 2), "x.lokr_w2_b": (2, 4)}, {"alpha": 5, "r": 2}, 2.5),
        ({"x.lokr_w1": (2, 2), "x.lokr_w2": (3, 4)}, {"alpha": 5, "r": 10}, 0.5),
        ({"x.lokr_w1": (2, 2), "x.lokr_w2": (3, 4)}, {"alpha": 5, "r": 10, "rank_pattern": {"x": 20}}, 0.25),
        ({"x.lokr_w1": (2, 2), "x.lokr_w2": (3, 4)}, None, 1.0),
        ({"x.lokr_w1": (2, 2), "x.lokr_w2": (3, 4), "x.alpha": ()}, None, 1.0),
        ({"x.lokr_w1_a": (2, 3), "x.lokr_w1_b": (3, 2), "x.lokr_w2": (3, 4), "x.alpha": ()}, None, 2.0),
        ({"x.oft_blocks": (2, 3, 3), "x.alpha": ()}, None, 1.0),
    ],
)
def test_alpha_and_rank_of_other_kinds(
    tmp_path: Path, tensors: dict[str, tuple[int, ...]], settings: dict[str, Any] | None, scale: float
) -> None:
    """Two full matrices of LoKr leave no rank in the file; what OFT calls alpha scales nothing."""
    if settings is not None:
        (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    file = read(tmp_path, {key: torch.full(shape, 6.0) for key, shape in tensors.items()})
    assert [layer.scale for layer in file.layers] == [scale]


def test_settings_in_the_file_belong_to_parts(tmp_path: Path) -> None:
    tensors = {
        f"{part}.block.to_q.lora_{factor}.weight": torch.ones(4, 4)
        for part in ("transformer", "text_encoder")
        for factor in "AB"
    }
    said = json.dumps({"transformer.lora_alpha": 8, "text_encoder.lora_alpha": 2, "text_encoder.alpha_pattern": {}})
    file = read(tmp_path, tensors, lora_adapter_metadata=said)
    assert {layer.name.split(".")[0]: layer.scale for layer in file.layers} == {"transformer": 2.0, "text_encoder": 0.5}


def other(key: str, *shape: int) -> Callable[[Path], object]:
    """A file with one more key."""
    return lambda file: write(file, factors() | {key: torch.ones(shape or (1,))})


def plain(tensors: Mapping[str, Tensor], **metadata: str) -> Callable[[Path], object]:
    """A file of these tensors alone."""
    return lambda file: write(file, tensors, **metadata)


NO_RANK = {f"{LAYER}.lora_down.weight": torch.ones(0, 8), f"{LAYER}.lora_up.weight": torch.ones(6, 0)}
TWO_RANKS = factors(2) | {f"{LAYER}.lora_up.weight": torch.ones(6, 3)}
NOT_A_MATRIX = factors(2) | {f"{LAYER}.lora_up.weight": torch.ones(6)}
NO_UP = {f"{LAYER}.lora_down.weight": torch.ones(2, 8)}
HADAMARD = {f"{LAYER}.hada_{name}": torch.ones(2, 2) for name in ("w1_a", "w1_b", "w2_a", "w2_b")}
REFUSED: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "not there": (lambda file: None, ("There is no LoRA", "some.safetensors")),
    "a pickle": (lambda file: file.write_bytes(b"PK\x03\x04" + bytes(64)), ("pickle",)),
    "cut short": (lambda file: (plain(factors())(file), file.write_bytes(file.read_bytes()[:-9])), ("damaged",)),
    "GLoRA": (other(f"{LAYER}.a1.weight"), ("kind that is not supported", "GLoRA", f"{LAYER}.a1.weight")),
    "IA³": (other(f"{LAYER}.on_input"), ("IA³",)),
    "VeRA": (other("base_model.model.q.vera_lambda_b"), ("VeRA",)),
    "AdaLoRA": (other("base_model.model.q.lora_E"), ("AdaLoRA",)),
    "BOFT": (other("base_model.model.q.boft_R"), ("BOFT", "butterfly")),
    "LyCORIS' BOFT": (plain({f"{LAYER}.oft_blocks": torch.zeros(2, 3, 4, 4)}), ("BOFT", f"{LAYER}.oft_blocks")),
    "OFT of parts": (other(f"{LAYER}.oft_blocks.0"), ("parts of a layer",)),
    "replaced weights": (other(f"{LAYER}.set_weight"), ("replace",)),
    "norms": (other(f"{LAYER}.w_norm"), ("normalisation",)),
    "PEFT's other kinds": (
        lambda file: plain(factors(), lora_adapter_metadata='{"peft_type": "FOURIERFT"}')(file),
        ("FOURIERFT",),
    ),
    "not a LoRA": (plain({"unet.conv_in.weight": torch.ones(1)}), ("is not a LoRA", "unet.conv_in.weight")),
    "alpha alone": (plain({f"{LAYER}.alpha": torch.ones(1)}), ("is not a LoRA",)),
    "a missing factor": (plain(NO_UP), (f"{LAYER}.lora_down.weight is there", "up of the same layer is missing")),
    "half a LoHa": (other("x.hada_w1_a", 4, 2), ("x.hada_w1_a is there", "hada_w1_b of the same layer is missing")),
    "half a LoKr": (other("x.lokr_w2_b", 2, 4), ("x.lokr_w2_b", "lokr_w1 or lokr_w1_a and lokr_w1_b")),
    "two kinds": (plain(factors() | HADAMARD), (LAYER, "tensors of a LoRA and of a LoHa")),
    "no rank": (plain(NO_RANK), (LAYER, "(0, 8)", "rank is 0")),
    "two ranks": (plain(TWO_RANKS), (LAYER, "down has the rank 2 and up the rank 3")),
    "not a matrix": (plain(NOT_A_MATRIX), (LAYER, "(6,)", "not the factors of a matrix")),
    "two LoHas": (plain(HADAMARD | {f"{LAYER}.hada_w2_a": torch.ones(3, 2)}), (LAYER, "2×2 and 3×2")),
    "blocks that are not square": (
        plain({f"{LAYER}.oft_blocks": torch.ones(2, 3, 4)}),
        ("(2, 3, 4)", "(blocks, size, size)"),
    ),
    "not a triangle": (plain({"x.oft_R.weight": torch.ones(2, 5)}), ("5 entries",)),
    "no alpha": (
        plain(factors() | {f"{LAYER}.alpha": torch.tensor(torch.nan)}),
        (f"{LAYER}.alpha", "one finite number", "nan"),
    ),
    "no settings": (plain(factors(), lora_adapter_metadata="{"), ("settings", "lora_adapter_metadata")),
    "a list of settings": (plain(factors(), lora_adapter_metadata="[1]"), ("settings", "not a JSON object")),
    "alpha in words": (plain(factors(), lora_adapter_metadata='{"lora_alpha": "much"}'), ("settings", "lora_alpha")),
    "a regular expression": (
        plain(factors(), lora_adapter_metadata='{"alpha_pattern": {"(a+)+b": 1}}'),
        ("alpha_pattern", "(a+)+b", "not the name of a layer"),
    ),
    "DoRA without magnitudes": (
        plain(factors(), lora_adapter_metadata='{"use_dora": true}'),
        ("DoRA", "no magnitudes"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_a_lora_is_refused(tmp_path: Path, case: str) -> None:
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
