"""What adapter a file holds, from the names of its tensors alone."""

from __future__ import annotations

import subprocess
import sys
from time import perf_counter

import pytest

from latentry_diffusers.recognise.adapter_keys import identify_adapter, split_key

LAYER = "lora_unet_mid_block_attentions_0_proj_in"
XLABS = "double_blocks.3.processor."


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (f"{LAYER}.lora_down.weight", "a LoRA"),
        ("unet.down.attn1.to_q.lora_A.weight", "a LoRA"),
        ("transformer.x.lora_B.bias", "a LoRA"),
        ("unet.mid.attn1.processor.to_q_lora.up.weight", "a LoRA"),
        (f"{XLABS}qkv_lora1.down.weight", "a LoRA in XLabs' layout"),
        (f"diffusion_model.{XLABS}proj_lora2.up.weight", "a LoRA in XLabs' layout"),
        ("single_blocks.7.processor.qkv_lora.up.weight", "a LoRA in XLabs' layout"),
        (f"{LAYER}.dora_scale", "a DoRA adapter"),
        ("base_model.model.q.lora_magnitude_vector", "a DoRA adapter"),
        (f"{LAYER}.hada_t2", "a LoHa adapter"),
        ("base_model.model.q.lokr_w2_b", "a LoKr adapter"),
        (f"{LAYER}.oft_blocks", "an OFT adapter"),
        ("base_model.model.q.oft_R.weight", "an OFT adapter"),
        ("diffusion_model.q.diff_b", "a file of weight differences"),
    ],
)
def test_adapters_that_run(key: str, words: str) -> None:
    """Other keys before and after it make no difference."""
    assert identify_adapter(["step", f"{LAYER}.alpha", key, "another"]) == (words, key, True)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (f"{LAYER}.b2.weight", "GLoRA"),
        ("base_model.model.q.boft_R", "BOFT"),
        ("base_model.model.q.vera_lambda_d", "VeRA"),
        ("base_model.model.q.ia3_l", "IA³"),
        (f"{LAYER}.w_norm", "normalisation"),
    ],
)
def test_adapters_that_do_not_run(key: str, words: str) -> None:
    """Even where the rest of the file is a LoRA."""
    found = identify_adapter([f"{LAYER}.lora_down.weight", key])
    assert found is not None
    assert (words in found.words, found.key, found.runs) == (True, key, False)


@pytest.mark.parametrize(
    "key",
    [
        "model.diffusion_model.input_blocks.0.0.weight",
        f"{LAYER}.alpha",
        "a.lora_C.weight",
        "a.magnitude",
        "mlp.b1.weight",
        "down.weight",
        "",
        ".",
    ],
)
def test_what_is_not_an_adapter(key: str) -> None:
    assert identify_adapter([key, "x"]) is None


def test_a_key_is_its_layer_and_its_slot() -> None:
    for key, layer, slot in [
        ("a.b.lora_A.default.weight", "a.b", "down"),
        ("a.b.lora.up.weight", "a.b", "up"),
        ("a.to_q_lora.up.weight", "a.to_q_lora", "up"),
        ("a.b.oft_R.default.weight", "a.b", "oft_R"),
        ("a.b.lora_magnitude_vector.default.weight", "a.b", "magnitude"),
        ("a.lokr_w1", "a", "lokr_w1"),
    ]:
        assert split_key(key) == (layer, slot)


@pytest.mark.slow
def test_a_hundred_thousand_keys_take_a_moment() -> None:
    """The time grows with the number of keys, not with its square."""

    def seconds(count: int) -> float:
        keys = [f"lora_unet_{number}.stranger.weight" for number in range(count)]
        start = perf_counter()
        assert identify_adapter(keys) is None
        return perf_counter() - start

    seconds(1000)
    assert seconds(100_000) < 30 * max(seconds(10_000), 1e-3)


def test_files_are_recognised_without_torch() -> None:
    code = "import sys, latentry_diffusers.recognise.adapter_keys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
