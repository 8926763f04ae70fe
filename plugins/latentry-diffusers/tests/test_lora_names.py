"""Where the names in files lead: each layout, as trainers write it, changes the layers it is meant for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from support.loras import diffusers, kohya, merge, peft, random_lora, rooted, underscored, write
from support.tiny_networks import WIDTH, Originals, families
from torch import Tensor, nn

from latentry import IncompatibleError, LoraRequest
from latentry_diffusers.lora import Adapters
from latentry_diffusers.lora._targets import find_targets


@pytest.fixture(scope="module")
def models() -> Mapping[str, tuple[dict[str, nn.Module], Originals]]:
    """Networks by part, and the denoiser's names, of every family."""
    return families()


def adapters(networks: Mapping[str, nn.Module], originals: Originals) -> Adapters:
    """Ours."""
    denoiser: Any = next(networks[part] for part in ("unet", "transformer") if part in networks)
    return Adapters(networks, lambda: originals(dict(denoiser.config)))


def changed(networks: Mapping[str, nn.Module], originals: Originals, file: Path) -> dict[str, Tensor]:
    """What a LoRA adds to which weights."""
    before = state(networks)
    with adapters(networks, originals).set([LoraRequest(path=str(file))], "merged"):
        after = state(networks)
    return {name: after[name] - before[name] for name in before if not torch.equal(after[name], before[name])}


def state(networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """All weights."""
    return {
        f"{part}.{name}": t.clone() for part, network in networks.items() for name, t in network.state_dict().items()
    }


def assert_same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """The same layers, by the same."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            found[name], value, atol=1e-6, rtol=0.0, msg=lambda text, name=name: f"{name}: {text}"
        )


def product(tensors: Mapping[str, Tensor], layer: str) -> Tensor:
    """up·down of a layer of a file, in kohya's layout without alpha."""
    return tensors[f"{layer}.lora_up.weight"] @ tensors[f"{layer}.lora_down.weight"]


TE = {"text_encoder": "lora_te1_", "text_encoder_2": "lora_te2_", "text_encoder_3": "lora_te3_"}


def as_kohya(tensors: Any, part: str, name: str) -> str:
    """The layers of every part under their own names."""
    return underscored({**TE, "unet": "lora_unet_", "transformer": "lora_transformer_"}[part])(part, name)


SPELLINGS: Mapping[str, Callable[[Any], dict[str, Tensor]]] = {
    "diffusers": diffusers,
    "kohya": lambda lora: kohya(lora, lambda part, name: as_kohya(lora, part, name)),
    "bare": lambda lora: peft(lora, lambda part, name: rooted(part, name) if part[0] != "t" else f"{part}.{name}"),
}


@pytest.mark.slow
@pytest.mark.parametrize("layout", SPELLINGS)
@pytest.mark.parametrize("family", ["sd", "sdxl", "sd3", "flux"])
def test_every_layer_is_found_under_its_own_name(models: Any, tmp_path: Path, family: str, layout: str) -> None:
    networks, originals = models[family]
    lora = random_lora(networks)
    file = write(tmp_path / "all.safetensors", SPELLINGS[layout](lora))
    expected = deepcopy(networks)
    merge(expected, lora)
    before = state(networks)
    after = state(expected)
    different = {name: after[name] - before[name] for name in after if not torch.equal(after[name], before[name])}
    assert len(different) == len(lora)
    assert_same(changed(networks, originals, file), different)


def stacked(shape: tuple[int, int], *layers: str, rank: int = 3) -> dict[str, Tensor]:
    """Random factors in kohya's layout without alpha, for layers of one shape."""
    generator, tensors = torch.Generator().manual_seed(2), {}
    for layer in layers:
        tensors[f"{layer}.lora_down.weight"] = torch.randn((rank, shape[1]), generator=generator)
        tensors[f"{layer}.lora_up.weight"] = torch.randn((shape[0], rank), generator=generator)
    return tensors


def rows(parts: Sequence[str], value: Tensor, sizes: Sequence[int] | int) -> dict[str, Tensor]:
    """Weights by name, from one that holds them stacked."""
    pieces = value.split(sizes if isinstance(sizes, int) else list(sizes))
    return {f"{part}.weight": piece for part, piece in zip(parts, pieces, strict=True)}


QKV = ("to_q", "to_k", "to_v")
ADDED = ("add_q_proj", "add_k_proj", "add_v_proj")


@pytest.mark.parametrize("start", ["lora_unet_", "lora_transformer_"])
def test_flux_layers_that_are_stacked_in_the_original_are_split_along_their_rows(
    models: Any, tmp_path: Path, start: str
) -> None:
    double, single = "double_blocks_0_", "single_blocks_0_"
    image, text, first = f"{start}{double}img_attn_qkv", f"{start}{double}txt_attn_qkv", f"{start}{single}linear1"
    tensors = stacked((3 * WIDTH, WIDTH), image, text) | stacked((7 * WIDTH, WIDTH), first)
    block, one = "transformer.transformer_blocks.0.attn.", "transformer.single_transformer_blocks.0."
    merged = [f"{one}attn.{name}" for name in QKV] + [f"{one}proj_mlp"]
    expected = {
        **rows([block + name for name in QKV], product(tensors, image), WIDTH),
        **rows([block + name for name in ADDED], product(tensors, text), WIDTH),
        **rows(merged, product(tensors, first), (WIDTH, WIDTH, WIDTH, 4 * WIDTH)),
    }
    assert_same(changed(*models["flux"], write(tmp_path / "a.safetensors", tensors)), expected)


def test_stacked_layers_are_known_with_dots_as_well(models: Any, tmp_path: Path) -> None:
    """As ComfyUI and some trainers write them."""
    layer = "diffusion_model.double_blocks.0.img_attn.qkv"
    tensors = stacked((3 * WIDTH, WIDTH), layer)
    names = {"lora_down": "lora_A", "lora_up": "lora_B"}
    file = {name.replace(old, new): t for name, t in tensors.items() for old, new in names.items() if old in name}
    block = "transformer.transformer_blocks.0.attn."
    expected = rows([block + name for name in QKV], product(tensors, layer), WIDTH)
    assert_same(changed(*models["flux"], write(tmp_path / "a.safetensors", file)), expected)


def test_sd3_layers_are_known_by_their_original_names(models: Any, tmp_path: Path) -> None:
    """The text's last modulation has its halves the other way round."""
    names = {f"joint_blocks_0_{stream}_block_attn_qkv": stream for stream in ("x", "context")}
    last = "lora_unet_joint_blocks_1_context_block_adaLN_modulation_1"
    tensors = stacked((3 * WIDTH, WIDTH), *(f"lora_unet_{name}" for name in names)) | stacked((2 * WIDTH, WIDTH), last)
    block = "transformer.transformer_blocks."
    picture, text = (product(tensors, f"lora_unet_{name}") for name in names)
    shift, scale = product(tensors, last).chunk(2)
    expected = {
        **rows([f"{block}0.attn.{name}" for name in QKV], picture, WIDTH),
        **rows([f"{block}0.attn.{name}" for name in ADDED], text, WIDTH),
        f"{block}1.norm1_context.linear.weight": torch.cat([scale, shift]),
    }
    assert_same(changed(*models["sd3"], write(tmp_path / "a.safetensors", tensors)), expected)


def test_t5_is_kohyas_third_encoder_even_where_it_is_the_second(models: Any, tmp_path: Path) -> None:
    tensors = stacked((64, 16), "lora_te3_encoder_block_0_layer_0_SelfAttention_q")
    found = changed(*models["flux"], write(tmp_path / "a.safetensors", tensors))
    assert list(found) == ["text_encoder_2.encoder.block.0.layer.0.SelfAttention.q.weight"]


def test_linear_layers_take_one_by_one_convolutions(models: Any, tmp_path: Path) -> None:
    layer = "lora_unet_mid_block_attentions_0_proj_in"
    tensors = stacked((16, 16), layer)
    file = write(tmp_path / "a.safetensors", {name: tensor[:, :, None, None] for name, tensor in tensors.items()})
    expected = {"unet.mid_block.attentions.0.proj_in.weight": product(tensors, layer)}
    assert_same(changed(*models["sd"], file), expected)


@pytest.mark.parametrize("family", ["sd", "sdxl", "sd3", "flux"])
def test_no_two_layers_share_a_name_with_their_part(models: Any, family: str) -> None:
    """Only names without a part may be shared, by text encoders, and lead nowhere then."""
    networks, originals = models[family]
    denoiser: Any = next(networks[part] for part in ("unet", "transformer") if part in networks)
    known = find_targets(networks, originals(dict(denoiser.config)))
    for part, network in networks.items():
        for name, layer in network.named_modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                for spelled in (f"{part}.{name}", as_kohya(None, part, name)):
                    place = known[spelled]
                    assert (place.part, place.layers, place.halves) == (part, (name,), False)


def refused(models: Any, family: str, tensors: Mapping[str, Tensor], folder: Path) -> str:
    """The words."""
    file = write(folder / "ink.safetensors", tensors)
    with pytest.raises(IncompatibleError) as error:
        adapters(*models[family]).matches([file])
    return str(error.value)


def test_a_lora_for_another_model_says_what_it_holds(models: Any, tmp_path: Path) -> None:
    tensors = stacked((48, 16), *(f"lora_unet_double_blocks_{i}_img_attn_qkv" for i in range(5)))
    text = refused(models, "sd", tensors, tmp_path)
    for word in (
        "ink.safetensors",
        "no layer of this model",
        "5 layers of rank 3",
        "LoRA, in kohya's layout",
        "for FLUX.1",
    ):
        assert word in text
    assert "lora_unet_double_blocks_2_img_attn_qkv, …" in text


def test_a_lora_of_another_shape_names_its_layer(models: Any, tmp_path: Path) -> None:
    layer = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    text = refused(models, "sd", stacked((16, 768), layer), tmp_path)
    for word in (
        "does not fit",
        f"{layer} is for a layer of 16 outputs, 768 inputs",
        "16 inputs",
        "Stable Diffusion 1",
    ):
        assert word in text


def test_a_stacked_layer_of_another_shape_names_its_layers(models: Any, tmp_path: Path) -> None:
    text = refused(models, "flux", stacked((40, 16), "lora_unet_double_blocks_0_img_attn_qkv"), tmp_path)
    assert "lora_unet_double_blocks_0_img_attn_qkv is for a layer of 40 outputs, 16 inputs" in text
    assert "transformer_blocks.0.attn.to_q + transformer_blocks.0.attn.to_k" in text
    assert "48 outputs, 16 inputs together" in text


def test_a_note_lists_keys_that_belong_to_no_layer(models: Any, tmp_path: Path) -> None:
    strange = stacked((4, 4), "lora_unet_nowhere", "lora_te2_text_model_encoder_layers_0_mlp_fc1")
    tensors = stacked((16, 16), "lora_unet_mid_block_attentions_0_proj_in") | strange
    (found,) = adapters(*models["sd"]).matches([write(tmp_path / "a.safetensors", tensors)])
    assert set(found.unmatched) == set(strange)
    assert (found.parts, found.layers) == (("unet",), 1)
    assert "a.safetensors holds keys that belong to no layer of this model and have no effect" in found.notes[0]
    assert "(4 of 6)" in found.notes[0]
    assert "lora_unet_nowhere.lora_down.weight" in found.notes[0]
