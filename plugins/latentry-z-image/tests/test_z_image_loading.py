"""Loading Z-Image: the right numbers from every form of file, prompts, LoRAs, or one clear error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.models import PROMPT, copied, edit, edit_weights
from support.models_z_image import WIDTH

from latentry import LoraRequest, ModelError, ModelFiles, OptionError
from latentry.models import Conversion, PromptSettings
from latentry_diffusers.text.language import split
from latentry_z_image.checkpoint import open_checkpoint
from latentry_z_image.model import TOKENS, ZImage
from latentry_z_image.release import convert
from latentry_z_image.variants import PARAMETERS, build

CPU = torch.device("cpu")
SETTINGS = PromptSettings(64, 64)
Spoil = Callable[[Path], object]


def test_the_published_configurations_describe_the_published_networks() -> None:
    with torch.device("meta"):
        networks = build("turbo")
    counts = {part: sum(p.numel() for p in network.parameters()) for part, network in networks.items()}
    assert counts == {"transformer": 6_154_908_736, "vae": 83_819_683, "text_encoder": 4_022_468_096}
    assert set(PARAMETERS.values()) == {counts["transformer"]}


def test_every_form_of_file_holds_the_same_model(folder: Path, model: ZImage, tmp_path: Path) -> None:
    """The original layout with the other networks beside it, written by ``convert``."""
    files = convert(ModelFiles(folder), "turbo", Conversion(tmp_path / "z.safetensors", "single"))
    main, *apart = files
    assert {file.name for file in apart} == {"z.text_encoder.safetensors", "z.vae.safetensors"}
    names = set(load_file(main))
    assert {"x_embedder.weight", "layers.0.attention.qkv.weight", "cap_pad_token"} < names
    encoder, vae = tmp_path / "z.text_encoder.safetensors", tmp_path / "z.vae.safetensors"
    given = ModelFiles(main, parts=(("text-encoder", encoder), ("vae", vae)), config=folder)
    again = open_checkpoint(given, "turbo").load(CPU, torch.float32)
    for part, network in model.networks.items():
        own = again.networks[part].state_dict()
        assert all(torch.equal(tensor, own[name]) for name, tensor in network.state_dict().items())


def test_the_states_are_those_before_the_last_layer(model: ZImage) -> None:
    """Computed with transformers' own template and padding."""
    encoder, tokenizer = model.text
    turns = [{"role": "user", "content": PROMPT}]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, enable_thinking=True)
    given = tokenizer([text], padding="max_length", max_length=TOKENS, return_tensors="pt")
    states = encoder(**given, output_hidden_states=True).hidden_states[-2]
    real = states[given.attention_mask.bool()]
    found = model.encode_prompt([PROMPT], SETTINGS)
    (own,) = split(found)
    assert torch.allclose(own, real, atol=1e-5)
    assert found["text"].shape[1] % 32 == 0


def test_prompts_of_two_lengths_are_padded_and_say_so(model: ZImage) -> None:
    both = model.encode_prompt([PROMPT, "a"], SETTINGS)
    (alone,) = split(model.encode_prompt(["a"], SETTINGS))
    long, short = split(both)
    assert both["text"].shape[2] == WIDTH
    assert len(long) > len(short) == len(alone)
    assert torch.equal(short, alone)
    assert not both["text"][1, len(short) :].any()


def test_a_prompt_that_is_too_long_is_cut_with_one_warning(model: ZImage, caplog: pytest.LogCaptureFixture) -> None:
    assert model.encode_prompt(["a red circle " * 300], SETTINGS)["text"].shape == (1, TOKENS, WIDTH)
    (warning,) = [record.getMessage() for record in caplog.records if record.name == "latentry.text"]
    assert "are ignored" in warning


@pytest.mark.parametrize(
    "name",
    [
        "transformer.layers.0.attention.to_q",
        "diffusion_model.layers.0.attention.to_q",
        "lora_unet_layers_0_attention_to_q",
        "lycoris_layers_0_attention_to_q",
        "diffusion_model.layers.0.attention.qkv",
        "lora_unet_layers_0_attention_qkv",
        "diffusion_model.layers.0.attention.out",
        "lora_unet_context_refiner_0_feed_forward_w1",
        "text_encoder.layers.0.self_attn.q_proj",
        "lora_te_layers_0_self_attn_q_proj",
    ],
)
def test_loras_are_understood_in_every_naming(model: ZImage, folder: Path, tmp_path: Path, name: str) -> None:
    rows, columns = (64, WIDTH) if "self_attn" in name else (170, 64) if "w1" in name else (64, 64)
    rows = 192 if name.endswith("qkv") else rows
    ends = ("lora_down", "lora_up") if name.startswith(("lora_", "lyc")) else ("lora_A", "lora_B")
    shapes = zip(ends, ((2, columns), (rows, 2)), strict=True)
    save_file({f"{name}.{end}.weight": torch.ones(shape) for end, shape in shapes}, tmp_path / "l.safetensors")
    (match,) = open_checkpoint(ModelFiles(folder), "turbo").match_loras([tmp_path / "l.safetensors"])
    assert (match.layers, match.unmatched) == (3 if name.endswith("qkv") else 1, ())
    x, text = torch.ones(1, 16, 16, 16), model.encode_prompt([PROMPT], SETTINGS)
    before = model.predict(x, 500.0, text)
    with model.set_loras([LoraRequest(path=str(tmp_path / "l.safetensors"))]):
        changed = model.predict(x, 500.0, model.encode_prompt([PROMPT], SETTINGS))
    assert not torch.equal(changed, before)


@pytest.mark.parametrize(("width", "height"), [(60, 64), (64, 4), (0, 0), (64 * 8 + 8, 64)])
def test_a_size_that_cannot_be_is_refused_with_the_nearest(folder: Path, width: int, height: int) -> None:
    """A side has at most as many tokens as the rotary tables have rows: 64 here, of 8 pixels each."""
    with pytest.raises(OptionError, match=f"cannot draw {width}×{height}"):
        open_checkpoint(ModelFiles(folder), "turbo").latent_shape(width, height)


SPOILT: dict[str, tuple[Spoil, str]] = {
    "transformer lacks a tensor": (
        lambda f: edit_weights(f / "transformer/diffusion_pytorch_model.safetensors", drop="cap_pad_token"),
        "lacks cap_pad_token",
    ),
    "text encoder of another width": (
        lambda f: edit(f / "text_encoder/config.json", hidden_size=64),
        "cap_feat_dim is 48, and the text encoder's hidden_size is 64",
    ),
    "autoencoder of another model": (
        lambda f: edit(f / "vae/config.json", latent_channels=4),
        "in_channels is 16, and the autoencoder's latent_channels is 4",
    ),
    "no tokenizer": (lambda f: (f / "tokenizer" / "tokenizer.json").unlink(), "tokenizer"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_spoilt_checkpoint_is_one_clear_error(folder: Path, tmp_path: Path, what: str) -> None:
    spoil, message = SPOILT[what]
    spoilt = copied(folder, tmp_path / "spoilt")
    spoil(spoilt)
    with pytest.raises(ModelError, match=message) as caught:
        open_checkpoint(ModelFiles(spoilt), "turbo").load(CPU, torch.float32)
    assert caught.value.remedy
