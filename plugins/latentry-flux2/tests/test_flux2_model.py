"""Loading FLUX.2 from every form of file, its latents, references, time shift, LoRAs, or one clear error."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from support.models import PROMPT, copied, edit, edit_weights
from support.models_flux2 import WIDTH, WINDOW

from latentry import Engine, GenerationRequest, IncompatibleError, LoraRequest, ModelError, ModelFiles, PluginHost
from latentry.models import Conversion, PromptSettings, ShiftsBySteps
from latentry_flux2.checkpoint import open_checkpoint
from latentry_flux2.model import Flux2
from latentry_flux2.references import AREA, fitted
from latentry_flux2.release import convert

CPU = torch.device("cpu")
SETTINGS = PromptSettings(64, 64, guidance=4.0)
Spoil = Callable[[Path], object]


@pytest.mark.parametrize("kind", ["dev", "klein-4b"])
def test_every_form_of_file_holds_the_same_model(
    folders: dict[str, Path], models: dict[str, Flux2], tmp_path: Path, kind: str
) -> None:
    """The original layout with the other networks beside it, written by ``convert``."""
    main, *_ = convert(ModelFiles(folders[kind]), kind, Conversion(tmp_path / "f.safetensors", "single"))
    encoder, vae = tmp_path / "f.text_encoder.safetensors", tmp_path / "f.vae.safetensors"
    assert {"img_in.weight", "single_blocks.0.linear1.weight"} < set(load_file(main))
    assert {"encoder.quant_conv.weight", "decoder.post_quant_conv.bias", "bn.running_var"} < set(load_file(vae))
    given = ModelFiles(main, parts=(("text-encoder", encoder), ("vae", vae)), config=folders[kind])
    again = open_checkpoint(given, kind).load(CPU, torch.float32)
    for part, network in models[kind].networks.items():
        own = again.networks[part].state_dict()
        assert all(torch.equal(tensor, own[name]) for name, tensor in network.state_dict().items())


def test_latents_are_patches_in_the_statistics_units(models: dict[str, Flux2]) -> None:
    model = models["dev"]
    pixels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    raw = model.vae.encode(pixels).latent_dist.mode()
    latents, bn = model.encode(pixels), model.vae.bn
    assert latents.shape == (1, 32, 16, 16)
    channel, row, column = 3, 1, 0  # a latent's channels go through its square channel by channel, row by row
    index = 4 * channel + 2 * row + column
    expected = (raw[0, channel, row::2, column::2] - bn.running_mean[index]) / (bn.running_var[index] + 1e-4).sqrt()
    assert torch.allclose(latents[0, index], expected, atol=1e-5)
    assert torch.allclose(model.decode(latents), model.vae.decode(raw).sample, rtol=1e-4, atol=1e-5)


def test_the_text_is_a_window_whose_padding_is_seen(models: dict[str, Flux2]) -> None:
    for kind, layers in (("dev", (10, 20, 30)), ("klein-4b", (9, 18, 27))):
        assert models[kind].read_layers == layers
        both = models[kind].encode_prompt([PROMPT, "a"], SETTINGS)["text"]
        assert both.shape == (2, WINDOW[kind == "dev"], 3 * WIDTH)
        at = slice(0, 9) if kind == "dev" else slice(-9, None)  # Mistral pads on the left
        assert both[:, at].abs().sum() > 0
        assert torch.equal(models[kind].encode_prompt(["a[IMG]"], SETTINGS)["text"][0], both[1]) == (kind == "dev")


def test_the_shift_depends_on_tokens_and_steps(folders: dict[str, Path], tmp_path: Path) -> None:
    """μ at 10 and at 200 steps is the authors' lines; in between it is linear."""
    checkpoint = open_checkpoint(ModelFiles(folders["dev"]), "dev")
    assert isinstance(checkpoint, ShiftsBySteps)
    tokens = 64 * 64  # of 256 × 256 pixels here
    few, many = 8.73809524e-05 * tokens + 1.89833333, 0.00016927 * tokens + 0.45666666
    assert math.log(checkpoint.shift_for(256, 256, 10)) == pytest.approx(few)
    assert math.log(checkpoint.shift_for(256, 256, 200)) == pytest.approx(many)
    assert math.log(checkpoint.shift_for(256, 256, 105)) == pytest.approx((few + many) / 2)
    assert checkpoint.shift(256, 256) == checkpoint.shift_for(256, 256, 50)
    still = copied(folders["dev"], tmp_path / "still")
    edit(still / "scheduler" / "scheduler_config.json", use_dynamic_shifting=False)
    assert open_checkpoint(ModelFiles(still), "dev").shift_for(64, 64, 10) == 3.0


@pytest.mark.parametrize(
    ("size", "result"),
    [((64, 64), (64, 64)), ((99, 67), (96, 64)), ((3000, 1500), (1440, 720)), ((3, 500), (16, 2656))],
)
def test_references_keep_their_proportions_and_lose_their_edges(size: tuple[int, int], result: tuple[int, int]) -> None:
    found = fitted(Image.new("RGB", size), 16)
    assert found.size == result
    assert found.width * found.height <= AREA


def test_more_references_than_it_takes_are_refused_before_weights_load(folders: dict[str, Path]) -> None:
    engine = Engine(PluginHost())
    request = GenerationRequest(prompt=PROMPT, model=str(folders["dev"]), references=("a.png",) * 11)
    with pytest.raises(IncompatibleError, match="cannot be shown 11 reference pictures") as caught:
        engine.prepare(request)
    assert "up to 10" in caught.value.why


@pytest.mark.parametrize(
    ("name", "shape", "layers"),
    [
        ("transformer.transformer_blocks.0.attn.to_q", (64, 64), 1),
        ("diffusion_model.double_blocks.0.img_attn.qkv", (192, 64), 3),
        ("lora_unet_double_blocks_0_img_attn_qkv", (192, 64), 3),
        ("diffusion_model.single_blocks.1.linear1", (576, 64), 1),
        ("transformer.single_transformer_blocks.1.attn.to_qkv_mlp_proj", (576, 64), 1),
        ("lycoris_transformer_blocks_0_attn_to_q", (64, 64), 1),
        ("lora_te_layers_0_self_attn_q_proj", (64, WIDTH), 1),
    ],
)
def test_loras_are_understood_in_every_naming(
    models: dict[str, Flux2], tmp_path: Path, name: str, shape: tuple[int, int], layers: int
) -> None:
    model, (rows, columns) = models["klein-4b"], shape
    ends = ("lora_down", "lora_up") if name.startswith(("lora_", "lyc")) else ("lora_A", "lora_B")
    shapes = zip(ends, ((2, columns), (rows, 2)), strict=True)
    save_file({f"{name}.{end}.weight": torch.ones(each) for end, each in shapes}, tmp_path / "l.safetensors")
    (match,) = model.checkpoint.match_loras([tmp_path / "l.safetensors"])
    assert (match.layers, match.unmatched) == (layers, ())
    x = torch.ones(1, 32, 16, 16)
    before = model.predict(x, 500.0, model.encode_prompt([PROMPT], SETTINGS))
    with model.set_loras([LoraRequest(path=str(tmp_path / "l.safetensors"))]):
        assert not torch.equal(model.predict(x, 500.0, model.encode_prompt([PROMPT], SETTINGS)), before)


SPOILT: dict[str, tuple[Spoil, str]] = {
    "autoencoder without its statistics": (
        lambda f: edit_weights(f / "vae/diffusion_pytorch_model.safetensors", drop="bn.running_mean"),
        "lacks bn.running_mean",
    ),
    "text encoder of too few layers": (
        lambda f: edit(f / "text_encoder/config.json", num_hidden_layers=20),
        "num_hidden_layers is 20, and the least that the transformer reads is 27",
    ),
    "text encoder of another width": (
        lambda f: edit(f / "text_encoder/config.json", hidden_size=64),
        "joint_attention_dim is 96, and the width of the text encoder's hidden states that it reads is 192",
    ),
    "autoencoder of another model": (
        lambda f: edit(f / "vae/config.json", latent_channels=4),
        "in_channels is 32, and that of 2 × 2 latents of the autoencoder is 16",
    ),
    "dev under klein's name": (
        lambda f: edit(f / "transformer/config.json", guidance_embeds=True),
        "guidance_embeds is True, and klein-4b's is False",
    ),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_spoilt_checkpoint_is_one_clear_error(folders: dict[str, Path], tmp_path: Path, what: str) -> None:
    spoil, message = SPOILT[what]
    spoilt = copied(folders["klein-4b"], tmp_path / "spoilt")
    spoil(spoilt)
    with pytest.raises(ModelError, match=message) as caught:
        open_checkpoint(ModelFiles(spoilt), "klein-4b").load(CPU, torch.float32)
    assert caught.value.remedy
