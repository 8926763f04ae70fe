"""Requests as data."""

from __future__ import annotations

import json
import math

import pytest
from pydantic import ValidationError

from latentry import GenerationRequest

REQUESTS = [
    GenerationRequest(prompt="a"),
    GenerationRequest(prompt=("a", "b"), count=3, seed=2**63 - 1),
    GenerationRequest(
        prompt="ü, 'quoted'\n\"and\" 紅",
        negative="grey",
        model="/somewhere/else",
        variant="sd15",
        scheduler="latentry-ddim:ddim",
        scheduler_options={"eta": 0.5, "names": ["a", "b"], "flag": True, "none": None},
        sigmas="karras",
        sigma_options={"rho": 7},
        final="table",
        initial_noise="sigma",
        steps=7,
        guidance=3.25,
        seed=0,
        width=512,
        height=768,
        count=2,
        batch=3,
        device="cuda:1",
        dtype="bfloat16",
        attention="sdpa",
    ),
    GenerationRequest(
        prompt="a",
        init_image="pictures/one.png",
        mask="pictures/two.png",
        strength=0.5,
        strength_mode="full",
        guidance_rescale=0.7,
        guidance_interval=(0.25, 0.75),
        skip_layers=(7, 8, 9),
        skip_layer_scale=2.0,
        skip_layer_interval=(0.0, 0.3),
        conditioning={"clip_skip": 2},
    ),
    GenerationRequest(
        prompt="a",
        model="owner/name",
        revision="v1",
        offline=True,
        vae="vae.safetensors",
        text_encoders=("clip.safetensors", "t5.gguf"),
        tokenizer="owner/words@main",
        config="folder",
    ),
    GenerationRequest(prompt="a", sigmas=(14.6, 1 / 3, 0.0)),
    GenerationRequest(prompt="a", sigmas=(math.inf, 1.0), scheduler_options={"most": math.inf, "least": -math.inf}),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.prompt[:1])
def test_a_request_goes_through_json_unchanged(request_: GenerationRequest) -> None:
    again = GenerationRequest.model_validate_json(request_.model_dump_json())
    assert again == request_
    assert type(again.prompt) is type(request_.prompt)
    assert type(again.sigmas) is type(request_.sigmas)


def test_the_json_is_json() -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    json.loads(REQUESTS[-1].model_dump_json(), parse_constant=refuse)


@pytest.mark.parametrize(
    "wrong",
    [
        {"promt": "a"},
        {"prompt": ()},
        {"prompt": "a", "steps": 0},
        {"prompt": "a", "count": 0},
        {"prompt": "a", "batch": 0},
        {"prompt": "a", "guidance": -1},
        {"prompt": "a", "guidance": math.nan},
        {"prompt": "a", "seed": -2},
        {"prompt": "a", "seed": 2**64},
        {"prompt": "a", "guidance": math.inf},
        {"prompt": "a", "guidance": 1e30},
        {"prompt": "a", "sigmas": (math.nan, 1.0)},
        {"prompt": "a", "scheduler_options": {"eta": math.nan}},
        {"prompt": "a", "conditioning": {"crop": [0, math.inf]}},
        {"prompt": "a", "attention_options": {"sdpa": {"scale": -math.inf}}},
        {"prompt": "a", "width": 10**18},
        {"prompt": "a", "height": 10**400},
        {"prompt": "a", "count": 10**12},
        {"prompt": "(red:100.1) circle"},
        {"prompt": f"(red:{'9' * 400}) circle"},
        {"prompt": ("a", "(red:-101) circle")},
        {"prompt": "a", "negative": "(" * 60 + "red" + ")" * 60},
        {"prompt": "a lone \ud800 surrogate"},
        {"prompt": "a", "conditioning": {"style": ["\udfff"]}},
        {"prompt": "a", "model": "model\0.safetensors"},
        {"prompt": "a", "text_encoders": ("a", "b\0")},
        {"prompt": "a", "width": 0},
        {"prompt": "a", "final": "never"},
        {"prompt": "a", "dtype": "float8"},
        {"prompt": "a", "initial_noise": "loud"},
        {"prompt": "a", "strength": 0},
        {"prompt": "a", "strength": 1.01},
        {"prompt": "a", "strength": math.nan},
        {"prompt": "a", "strength_mode": "half"},
        {"prompt": "a", "guidance_rescale": 1.5},
        {"prompt": "a", "guidance_interval": (0.8, 0.2)},
        {"prompt": "a", "guidance_interval": (0.5, 0.5)},
        {"prompt": "a", "guidance_interval": (-0.1, 0.5)},
        {"prompt": "a", "guidance_interval": (0.5, 1.1)},
        {"prompt": "a", "guidance_interval": (0.5, math.nan)},
        {"prompt": "a", "guidance_interval": (0.5,)},
        {"prompt": "a", "skip_layer_interval": (0.8, 0.2)},
        {"prompt": "a", "skip_layers": (-1,)},
        {"prompt": "a", "skip_layer_scale": math.inf},
    ],
    ids=str,
)
def test_a_value_that_a_request_cannot_have_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        GenerationRequest(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "conditioning"),
    [
        ({"clip_skip": 2}, {"clip_skip": 2}),
        ({"clip_skip": 0}, {}),
        ({"clip_skip": 1, "conditioning": {"crop": [0, 8]}}, {"clip_skip": 1, "crop": [0, 8]}),
        ({"clip_skip": 1, "conditioning": {"clip_skip": 2}}, {"clip_skip": 2}),
    ],
)
def test_clip_skip_of_an_old_request_becomes_a_conditioning_option(
    old: dict[str, object], conditioning: dict[str, object]
) -> None:
    assert GenerationRequest.model_validate({"prompt": "a", **old}).conditioning == conditioning
    assert GenerationRequest.model_validate_json(json.dumps({"prompt": "a", **old})).conditioning == conditioning


def test_a_seed_of_minus_one_is_drawn() -> None:
    assert GenerationRequest(prompt="a", seed=-1) == GenerationRequest(prompt="a")
    assert GenerationRequest.model_validate_json('{"prompt": "a", "seed": -1}').seed is None


@pytest.mark.parametrize("seed", [0, 2**63 - 1, 2**63, 2**64 - 1])
def test_every_seed_of_64_bits_is_kept(seed: int) -> None:
    request = GenerationRequest(prompt="a", seed=seed)
    assert GenerationRequest.model_validate_json(request.model_dump_json()).seed == seed


@pytest.mark.parametrize("prompt", ["(red:100) circle", "((red)) [circle]", "a \\(b:1e9\\)", "a:9999", "😀"])
def test_weights_within_the_bounds_and_literal_brackets_are_taken(prompt: str) -> None:
    assert GenerationRequest(prompt=prompt).prompt == prompt


def test_each_prompt_has_its_pictures_in_a_row() -> None:
    assert GenerationRequest(prompt="a", count=2).prompts == ("a", "a")
    assert GenerationRequest(prompt=("a", "b"), count=2).prompts == ("a", "a", "b", "b")


def test_a_request_is_frozen() -> None:
    with pytest.raises(ValidationError):
        GenerationRequest(prompt="a").steps = 3  # type: ignore[misc]
