"""What the networks are given besides the sample and the timestep."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from latentry import Engine, GenerationRequest, OptionError, PluginHost
from latentry.models import Conditioning, PromptSettings
from latentry_sdxl.micro import MicroConditioning
from latentry_sdxl.model import StableDiffusionXL

PROMPTS = ("a red circle", "a blue square")
SETTINGS = PromptSettings(width=96, height=64)
NEGATIVE = replace(SETTINGS, negative=True)
Models = dict[str, StableDiffusionXL]


@pytest.mark.parametrize(("kind", "width", "count"), [("base", 80, 6), ("refiner", 48, 5)])
def test_states_of_all_encoders_and_the_summary_of_the_last(models: Models, kind: str, width: int, count: int) -> None:
    told = models[kind].encode_prompt(PROMPTS, SETTINGS)
    assert told["text"].shape == (2, 24, width)
    assert told["pooled"].shape == (2, 48)
    assert told["time_ids"].shape == (2, count)
    assert told["time_ids"].dtype == torch.float32  # not all sides above 2048 are float16 numbers


def test_a_long_prompt_takes_several_windows_of_both_encoders(models: Models) -> None:
    told = models["base"].encode_prompt(["a red circle left of a blue square " * 4], SETTINGS)
    assert told["text"].shape == (1, 48, 80)
    x = torch.zeros(1, 4, 16, 24)
    assert models["base"].predict(x, 500.0, told).shape == x.shape


def test_clip_skip_goes_one_layer_lower_in_both_encoders(models: Models) -> None:
    near, far = (
        models["base"].encode_prompt(PROMPTS, replace(SETTINGS, own=MicroConditioning(clip_skip=n))) for n in (0, 1)
    )
    assert torch.equal(near["pooled"], far["pooled"])
    for part in (slice(0, 32), slice(32, 80)):
        assert not torch.allclose(near["text"][..., part], far["text"][..., part])


def test_an_empty_negative_prompt_is_zeros_where_it_was_so_in_training(models: Models) -> None:
    told = models["base"].encode_prompt(["", "  ", "a red circle"], NEGATIVE)
    for name in ("text", "pooled"):
        assert not told[name][:2].any()
        written = models["base"].encode_prompt(["a red circle"], SETTINGS)[name]
        assert torch.allclose(told[name][2:], written, atol=1e-6)
    assert models["base"].encode_prompt([""], SETTINGS)["text"].any()
    assert models["refiner"].encode_prompt([""], NEGATIVE)["text"].any()


def test_sizes_are_given_height_first(models: Models) -> None:
    assert models["base"].encode_prompt(["a"], SETTINGS)["time_ids"].tolist() == [[64, 96, 0, 0, 64, 96]]
    assert models["base"].encode_prompt(["a"], NEGATIVE)["time_ids"].tolist() == [[64, 96, 0, 0, 64, 96]]


def test_the_refiner_takes_a_score_in_place_of_the_target(models: Models) -> None:
    assert models["refiner"].encode_prompt(["a"], SETTINGS)["time_ids"].tolist() == [[64, 96, 0, 0, 6.0]]
    assert models["refiner"].encode_prompt(["a"], NEGATIVE)["time_ids"].tolist() == [[64, 96, 0, 0, 2.5]]


def test_each_side_can_have_its_own_numbers() -> None:
    micro = MicroConditioning(original_size=(1, 2), crop=(3, 4), target_size=(5, 6), aesthetic_score=7.0)
    assert micro.time_ids((9, 9), 6, negative=False) == (2, 1, 4, 3, 6, 5)
    assert micro.time_ids((9, 9), 6, negative=True) == (2, 1, 4, 3, 6, 5)
    assert micro.time_ids((9, 9), 5, negative=False) == (2, 1, 4, 3, 7.0)
    other = micro.model_copy(
        update={"negative_original_size": (11, 12), "negative_crop": (0, 0), "negative_target_size": (13, 14)}
    )
    assert other.time_ids((9, 9), 6, negative=True) == (12, 11, 0, 0, 14, 13)
    assert other.time_ids((9, 9), 6, negative=False) == (2, 1, 4, 3, 6, 5)


@pytest.mark.parametrize("kind", ["base", "refiner"])
@pytest.mark.parametrize("name", ["text", "pooled", "time_ids"])
def test_every_input_changes_the_output(models: Models, kind: str, name: str) -> None:
    told = models[kind].encode_prompt(["a red circle"], SETTINGS)
    other = Conditioning({**told.tensors, name: told[name] + 1.0})
    x = torch.randn(1, 4, 16, 24, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(models[kind].predict(x, 500.0, told), models[kind].predict(x, 500.0, other))


OTHER = {
    "clip_skip": 1,
    **{name: (48, 40) for name in MicroConditioning.model_fields if name.endswith(("size", "crop"))},
    **{name: 8.0 for name in MicroConditioning.model_fields if name.endswith("score")},
}
"""Another value for each option."""


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("kind", ["base", "inpainting", "turbo", "refiner"])
def test_the_options_that_are_read_are_those_that_change_something(models: Models, kind: str, negative: bool) -> None:
    assert set(OTHER) == set(MicroConditioning.model_fields)
    model, found = models[kind], set()
    settings = replace(SETTINGS, negative=negative)
    plain = model.encode_prompt(PROMPTS, replace(settings, own=MicroConditioning()))
    for name, value in OTHER.items():
        changed = model.encode_prompt(PROMPTS, replace(settings, own=MicroConditioning(**{name: value})))
        if any(not torch.equal(plain[part], changed[part]) for part in ("text", "pooled", "time_ids")):
            found.add(name)
    # an option of the positive side is the negative side's too where that gives none of its own
    read = model.checkpoint.conditioning_read(negative=negative)
    assert found <= set(read)
    for name in set(read) - found:
        assert negative
        assert f"negative_{name}" in found


@pytest.mark.slow
def test_an_option_that_no_checkpoint_reads_is_refused(folders: dict[str, Path]) -> None:
    engine = Engine(PluginHost())

    def takes(name: str, **wanted: Any) -> bool:
        request = GenerationRequest(prompt="a", width=96, height=64, conditioning={name: OTHER[name]}, **wanted)
        try:
            engine.prepare(request)
        except OptionError as error:
            assert (error.field, name in error.what) == ("conditioning", True)
            return False
        return True

    base, refiner = str(folders["base"]), str(folders["refiner"])
    for name in OTHER:
        score, negative = name.endswith("score"), name.startswith("negative")
        assert takes(name, model=base, guidance=5.0) is not score
        assert takes(name, model=base, guidance=1.0) is not (score or negative)
        assert takes(name, model=base, refiner=refiner, guidance=5.0)


def test_the_inpainting_network_is_shown_what_stays(models: Models) -> None:
    model = models["inpainting"]
    pixels = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(2, 1, 64, 96)
    mask[:, :, 16:32, 40:] = 1.0
    shown = model.inpainting(pixels, mask)
    small = torch.zeros(2, 1, 16, 24)
    small[:, :, 4:8, 10:] = 1.0
    assert torch.equal(shown["mask"], small)
    grey = pixels.clone()
    grey[:, :, 16:32, 40:] = 0.0
    assert torch.equal(shown["masked"], model.encode(grey))
    repainted = pixels.clone()
    repainted[:, :, 16:32, 40:] = 0.7
    assert torch.equal(model.inpainting(repainted, mask)["masked"], shown["masked"])
