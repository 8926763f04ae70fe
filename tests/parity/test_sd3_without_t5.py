"""Stable Diffusion 3 with its third text encoder left out, beside diffusers' pipeline told the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusion3Pipeline
from support.both_pipelines import draw, ours, theirs
from support.models import PROMPT
from support.models_sd3 import write_stable_diffusion_3
from support.recording import first_difference

from latentry import Engine, GenerationRequest, OptionError, PluginHost

pytestmark = pytest.mark.slow

STEPS = 8
T5 = "text_encoder_3"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It has a T5."""
    return write_stable_diffusion_3(tmp_path_factory.mktemp("sd3") / "whole")


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(PluginHost(load=("latentry", "latentry-sd3", "latentry-euler")))


def test_it_is_as_with_a_pipeline_without_t5(engine: Engine, folder: Path) -> None:
    absent = {T5: None, "tokenizer_3": None}
    peer = StableDiffusion3Pipeline.from_pretrained(folder, local_files_only=True, torch_dtype=torch.float32, **absent)
    peer.set_progress_bar_config(disable=True)
    sigmas = np.linspace(1, 1 / STEPS, STEPS)
    given = {"num_inference_steps": STEPS, "sigmas": sigmas, "guidance_scale": 5.0, "height": 64, "width": 64}
    recorded = theirs(peer, (PROMPT,), latents=draw(channels=16), **given)
    settings = {"steps": STEPS, "guidance": 5.0, "width": 64, "height": 64}
    mine = ours(engine, folder, (PROMPT,), draw(channels=16), without=(T5,), **settings)
    assert first_difference(mine, recorded) == ""
    whole = ours(engine, folder, (PROMPT,), draw(channels=16), **settings)
    assert float((mine.latents[0] - whole.latents[0]).abs().max()) > 0.01  # with T5 it is another picture


def test_what_is_left_out_is_not_loaded_and_the_recipe_says_so(engine: Engine, folder: Path) -> None:
    wanted = GenerationRequest(prompt="a", model=str(folder), without=(T5,), steps=1, width=64, height=64, seed=1)
    setup = engine.prepare(wanted)
    assert T5 not in setup.checkpoint.parts
    assert tuple(engine.load(setup).networks) == setup.checkpoint.parts
    assert engine.generate(wanted).recipes[0].request.without == (T5,)
    with_t5 = engine.load(engine.prepare(wanted.model_copy(update={"without": ()})))
    assert T5 in with_t5.networks  # another model, not the one in memory


def test_a_dtype_for_what_is_left_out_is_refused(engine: Engine, folder: Path) -> None:
    wanted = GenerationRequest(prompt="a", model=str(folder), without=(T5,), dtypes={T5: "bfloat16"})
    with pytest.raises(OptionError, match=f"no part '{T5}'"):
        engine.prepare(wanted)


def test_what_is_needed_cannot_be_left_out(engine: Engine, folder: Path) -> None:
    wanted = GenerationRequest(prompt="a", model=str(folder), without=(T5, "text_encoder"))
    with pytest.raises(OptionError, match="needs text_encoder") as caught:
        engine.prepare(wanted)
    assert T5 in caught.value.why
