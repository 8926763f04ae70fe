"""The same noise, prompt and grid through diffusers' own Stable Diffusion 3 pipelines and through ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    StableDiffusion3Img2ImgPipeline,
    StableDiffusion3InpaintPipeline,
    StableDiffusion3Pipeline,
)
from support import both_pipelines
from support.both_pipelines import Peers, draw, drawing, seeded
from support.models import PROMPT
from support.models_sd3 import write_stable_diffusion_3
from support.parts import TOKENS
from support.recording import Recording, first_difference
from torch import Tensor

from latentry import Engine, Flow, Linspace, ModelFiles, Trailing
from latentry.sigmas import SigmaSchedule
from latentry_sd3.checkpoint import open_checkpoint

pytestmark = pytest.mark.slow

STEPS, GUIDANCE = 20, 5.0
OTHER = "a green star on a white background"
PICTURE, MASK = drawing()
Side = Callable[..., Recording]
AS_PEER = {"last": 0.003 / 1.002}
"""Options of our linspace that make it the grid of diffusers left to itself: t = 0.001, shifted before its time."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Random models by name."""
    root = tmp_path_factory.mktemp("sd3")
    return {
        "3.5": write_stable_diffusion_3(root / "3.5"),
        "3": write_stable_diffusion_3(root / "3", seed=1, qk_norm=None, dual_attention_layers=()),
        "no-t5": write_stable_diffusion_3(root / "no-t5", with_t5=False, seed=2),
    }


def start(count: int = 1) -> Tensor:
    """Standard normal, for both."""
    return draw(count, channels=16)


@pytest.fixture
def theirs(folders: Mapping[str, Path], peers: Peers) -> Side:
    """diffusers' side; it is handed the sigmas before the shift, unless it is to use its own."""

    def side(kind: Any, name: str, *prompts: str, own_grid: bool = False, **options: Any) -> Recording:
        given = {
            "num_inference_steps": STEPS,
            "guidance_scale": GUIDANCE,
            "height": 64,
            "width": 64,
            "max_sequence_length": 256 if name == "no-t5" else TOKENS,
            **({} if own_grid else {"sigmas": np.linspace(1, 1 / STEPS, STEPS)}),
            **options,
        }
        return both_pipelines.theirs(peers(folders[name], kind), prompts, **given)

    return side


@pytest.fixture
def ours(folders: Mapping[str, Path], engine: Engine) -> Side:
    """Latentry's side; attention is the network's own unless the settings say otherwise."""

    def side(name: str, *prompts: str, latents: Tensor | None = None, **settings: Any) -> Recording:
        chosen = {"steps": STEPS, "guidance": GUIDANCE, "attention": "native", **settings}
        noise = start(len(prompts)) if latents is None else latents
        return both_pipelines.ours(engine, folders[name], prompts, noise, **chosen)

    return side


@pytest.mark.parametrize("guidance", [1.0, 5.0])
@pytest.mark.parametrize("name", ["3.5", "3", "no-t5"])
def test_both_pipelines_agree(ours: Side, theirs: Side, name: str, guidance: float) -> None:
    mine = ours(name, PROMPT, guidance=guidance)
    recorded = theirs(StableDiffusion3Pipeline, name, PROMPT, guidance_scale=guidance, latents=start())
    assert first_difference(mine, recorded) == ""
    assert len(mine.inputs) == STEPS
    assert mine.times[0] == 1000.0
    assert len(mine.ids) == (2 if name == "no-t5" else 3)


def test_both_pipelines_agree_on_a_batch_of_two_prompts(ours: Side, theirs: Side) -> None:
    mine = ours("3.5", PROMPT, OTHER)
    recorded = theirs(StableDiffusion3Pipeline, "3.5", PROMPT, OTHER, latents=start(2))
    assert first_difference(mine, recorded) == ""
    assert float((mine.latents[0][0] - mine.latents[0][1]).abs().max()) > 0.1


def test_both_pipelines_agree_through_an_attention_backend(ours: Side, theirs: Side) -> None:
    """Joint attention and 3.5 Medium's second one, the autoencoder's and the text encoders'."""
    recorded = theirs(StableDiffusion3Pipeline, "3.5", PROMPT, latents=start())
    assert first_difference(ours("3.5", PROMPT, attention="sdpa"), recorded) == ""


@pytest.mark.parametrize(
    ("settings", "options", "calls"),
    [
        ({"skip_layers": (1,)}, {"skip_guidance_layers": [1]}, 3),
        (
            {"skip_layers": (0, 2), "skip_layer_scale": 1.5, "skip_layer_interval": (0.1, 0.55)},
            {
                "skip_guidance_layers": [0, 2],
                "skip_layer_guidance_scale": 1.5,
                "skip_layer_guidance_start": 0.09,  # the peer leaves out a step at the start itself
                "skip_layer_guidance_stop": 0.55,
            },
            9,
        ),
    ],
    ids=["defaults", "chosen"],
)
def test_both_pipelines_agree_with_skip_layer_guidance(
    ours: Side, theirs: Side, settings: dict[str, Any], options: dict[str, Any], calls: int
) -> None:
    mine = ours("3.5", PROMPT, **settings)
    recorded = theirs(StableDiffusion3Pipeline, "3.5", PROMPT, latents=start(), **options)
    assert first_difference(mine, recorded) == ""
    assert mine.skipped == recorded.skipped == [settings["skip_layers"]] * calls
    plain = ours("3.5", PROMPT)
    assert float((mine.latents[0] - plain.latents[0]).abs().max()) > 0.01


def test_the_grid_of_diffusers_default_can_be_chosen_by_name(ours: Side, theirs: Side) -> None:
    mine = ours("3.5", PROMPT, sigmas="linspace", sigma_options=AS_PEER)
    recorded = theirs(StableDiffusion3Pipeline, "3.5", PROMPT, latents=start(), own_grid=True)
    assert first_difference(mine, recorded) == ""


@pytest.mark.parametrize("strength", [0.3, 0.6, 1.0])
def test_both_pipelines_agree_from_a_picture(ours: Side, theirs: Side, strength: float) -> None:
    mine = ours("3.5", PROMPT, init_image=PICTURE, strength=strength)
    given = {"image": PICTURE, "strength": strength, "generator": seeded()}
    assert first_difference(mine, theirs(StableDiffusion3Img2ImgPipeline, "3.5", PROMPT, **given)) == ""
    assert len(mine.inputs) == round(STEPS * strength)


@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_both_pipelines_agree_within_a_mask(ours: Side, theirs: Side, strength: float) -> None:
    mine = ours("3.5", PROMPT, init_image=PICTURE, mask=MASK, strength=strength)
    given = {"image": PICTURE, "mask_image": MASK, "strength": strength, "generator": seeded()}
    assert first_difference(mine, theirs(StableDiffusion3InpaintPipeline, "3.5", PROMPT, **given)) == ""


@pytest.mark.parametrize("steps", [1, 4, 20, 28])
@pytest.mark.parametrize("own_grid", [False, True])
def test_the_grid_is_flow_matchings(folders: Mapping[str, Path], steps: int, own_grid: bool) -> None:
    """Under the checkpoint's own configuration and shift."""
    scheduler: Any = FlowMatchEulerDiscreteScheduler.from_pretrained(
        folders["3.5"] / "scheduler", local_files_only=True
    )
    scheduler.set_timesteps(steps, **({} if own_grid else {"sigmas": np.linspace(1, 1 / steps, steps)}))
    shift = open_checkpoint(ModelFiles(folders["3.5"]), "sd35-medium").shift(64, 64)
    rule: SigmaSchedule = Linspace(shift=shift, **AS_PEER) if own_grid else Trailing(shift=shift)
    points = rule.points(steps, Flow())
    assert [point.sigma for point in points] == pytest.approx(scheduler.sigmas[:-1].tolist(), rel=1e-6)
    assert [point.timestep for point in points] == pytest.approx(scheduler.timesteps.tolist(), rel=1e-6)


def test_the_comparison_would_notice(ours: Side, theirs: Side) -> None:
    """Each input is seen in the result, at the stage where it comes in."""
    recorded = theirs(StableDiffusion3Pipeline, "3.5", PROMPT, latents=start())

    def apart(prompt: str = PROMPT, **settings: Any) -> str:
        return first_difference(ours("3.5", prompt, **settings), recorded)

    assert apart(prompt=OTHER).startswith("ids of")
    assert apart(clip_skip=1).startswith("given encoder_hidden_states")
    assert apart(sigma_options={"shift": 2.9}).startswith("times")
    assert apart(latents=start() * 1.001).startswith("initial latents")
    assert apart(guidance=6.0).startswith("latents after 1 steps")
    assert apart(scheduler="dpmpp-2m", sigmas="trailing").startswith("latents after 2 steps")  # the first is Euler's
