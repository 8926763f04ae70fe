"""The same noise, prompt and grid through diffusers' own Stable Diffusion 3 pipelines and through ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    StableDiffusion3Img2ImgPipeline,
    StableDiffusion3InpaintPipeline,
    StableDiffusion3Pipeline,
)
from support.models import PROMPT
from support.models_sd3 import write_stable_diffusion_3
from support.overheard_transformer import drawing, ours, theirs
from support.parts import TOKENS
from support.stages import Overheard, parting
from torch import Tensor

from latentry import Flow, Linspace, ModelFiles, SigmaSchedule, Trailing
from latentry_sd3.checkpoint import open_checkpoint

STEPS = 20
OTHER = "a green star on a white background"
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


def start(count: int, seed: int = 11) -> Tensor:
    """Standard normal, for both."""
    return torch.randn((count, 16, 16, 16), generator=torch.Generator().manual_seed(seed))


def peer(kind: Any, folder: Path, *prompts: str, guidance: float, own_grid: bool = False, **options: Any) -> Overheard:
    """diffusers' side; it is handed the sigmas before the shift, unless it is to use its own."""
    grid = {} if own_grid else {"sigmas": np.linspace(1, 1 / STEPS, STEPS)}
    return theirs(
        kind,
        folder,
        prompts,
        num_inference_steps=STEPS,
        guidance_scale=guidance,
        height=64,
        width=64,
        max_sequence_length=256 if folder.name == "no-t5" else TOKENS,
        **grid,
        **options,
    )


@pytest.mark.parametrize("guidance", [1.0, 5.0])
@pytest.mark.parametrize("name", ["3.5", "3", "no-t5"])
def test_both_pipelines_agree(folders: Mapping[str, Path], name: str, guidance: float) -> None:
    mine = ours(folders[name], (PROMPT,), start(1), steps=STEPS, guidance=guidance)
    heard = peer(StableDiffusion3Pipeline, folders[name], PROMPT, guidance=guidance, latents=start(1))
    assert parting(mine, heard) == ""
    assert len(mine.inputs) == STEPS
    assert mine.times[0] == 1000.0


def test_both_pipelines_agree_on_a_batch_of_two_prompts(folders: Mapping[str, Path]) -> None:
    mine = ours(folders["3.5"], (PROMPT, OTHER), start(2), steps=STEPS, guidance=5.0)
    heard = peer(StableDiffusion3Pipeline, folders["3.5"], PROMPT, OTHER, guidance=5.0, latents=start(2))
    assert parting(mine, heard) == ""
    assert float((mine.latents[0][0] - mine.latents[0][1]).abs().max()) > 0.1


def test_both_pipelines_agree_through_an_attention_backend(folders: Mapping[str, Path]) -> None:
    """Joint attention and 3.5 Medium's second one, the autoencoder's and the text encoders'."""
    mine = ours(folders["3.5"], (PROMPT,), start(1), steps=STEPS, guidance=5.0, attention="sdpa")
    heard = peer(StableDiffusion3Pipeline, folders["3.5"], PROMPT, guidance=5.0, latents=start(1))
    assert parting(mine, heard) == ""


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
    folders: Mapping[str, Path], settings: dict[str, Any], options: dict[str, Any], calls: int
) -> None:
    mine = ours(folders["3.5"], (PROMPT,), start(1), steps=STEPS, guidance=5.0, **settings)
    heard = peer(StableDiffusion3Pipeline, folders["3.5"], PROMPT, guidance=5.0, latents=start(1), **options)
    assert parting(mine, heard) == ""
    assert mine.skipped == heard.skipped == [settings["skip_layers"]] * calls
    plain = ours(folders["3.5"], (PROMPT,), start(1), steps=STEPS, guidance=5.0)
    assert float((mine.latents[0] - plain.latents[0]).abs().max()) > 0.01


def test_the_grid_of_diffusers_left_to_itself_can_be_had_by_name(folders: Mapping[str, Path]) -> None:
    asked = {"sigmas": "linspace", "sigma_options": AS_PEER}
    mine = ours(folders["3.5"], (PROMPT,), start(1), steps=STEPS, guidance=5.0, **asked)
    heard = peer(StableDiffusion3Pipeline, folders["3.5"], PROMPT, guidance=5.0, latents=start(1), own_grid=True)
    assert parting(mine, heard) == ""


@pytest.mark.parametrize("strength", [0.3, 0.6, 1.0])
def test_both_pipelines_agree_from_a_picture(folders: Mapping[str, Path], strength: float) -> None:
    picture, _ = drawing()
    mine = ours(
        folders["3.5"], (PROMPT,), start(1, 7), init_image=picture, steps=STEPS, guidance=5.0, strength=strength
    )
    heard = peer(
        StableDiffusion3Img2ImgPipeline,
        folders["3.5"],
        PROMPT,
        guidance=5.0,
        image=picture,
        strength=strength,
        generator=torch.Generator().manual_seed(7),
    )
    assert parting(mine, heard) == ""
    assert len(mine.inputs) == round(STEPS * strength)


@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_both_pipelines_agree_within_a_mask(folders: Mapping[str, Path], strength: float) -> None:
    picture, mask = drawing()
    mine = ours(
        folders["3.5"],
        (PROMPT,),
        start(1, 7),
        init_image=picture,
        mask=mask,
        steps=STEPS,
        guidance=5.0,
        strength=strength,
    )
    heard = peer(
        StableDiffusion3InpaintPipeline,
        folders["3.5"],
        PROMPT,
        guidance=5.0,
        image=picture,
        mask_image=mask,
        strength=strength,
        generator=torch.Generator().manual_seed(7),
    )
    # the peer leaves the shift out when it decodes here: its latents are right, and its picture is not
    heard.latents = [latents + 0.0609 * 1.5305 for latents in heard.latents]
    mine.pixels, heard.pixels = [], []
    assert parting(mine, heard) == ""


@pytest.mark.parametrize("steps", [1, 4, 20, 28])
@pytest.mark.parametrize("own_grid", [False, True])
def test_the_grid_is_flow_matchings(folders: Mapping[str, Path], steps: int, own_grid: bool) -> None:
    """Under the checkpoint's own configuration and shift."""
    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(folders["3.5"] / "scheduler", local_files_only=True)
    scheduler.set_timesteps(steps, **({} if own_grid else {"sigmas": np.linspace(1, 1 / steps, steps)}))
    shift = open_checkpoint(ModelFiles(folders["3.5"]), "sd35-medium").shift(64, 64)
    rule: SigmaSchedule = Linspace(shift=shift, **AS_PEER) if own_grid else Trailing(shift=shift)
    points = rule.points(steps, Flow())
    assert [point.sigma for point in points] == pytest.approx(scheduler.sigmas[:-1].tolist(), rel=1e-6)
    assert [point.timestep for point in points] == pytest.approx(scheduler.timesteps.tolist(), rel=1e-6)


def test_the_comparison_would_notice(folders: Mapping[str, Path]) -> None:
    """Each input is seen in the result, at the stage where it comes in."""
    folder, noise = folders["3.5"], start(1)
    heard = peer(StableDiffusion3Pipeline, folder, PROMPT, guidance=5.0, latents=noise)

    def apart(prompt: str = PROMPT, latents: Tensor = noise, **settings: Any) -> str:
        return parting(ours(folder, (prompt,), latents, **{"steps": STEPS, "guidance": 5.0, **settings}), heard)

    assert apart(prompt=OTHER).startswith("ids of")
    assert apart(clip_skip=1).startswith("told encoder_hidden_states")
    assert apart(sigma_options={"shift": 2.9}).startswith("times")
    assert apart(latents=noise * 1.001).startswith("initial latents")
    assert apart(guidance=6.0).startswith("latents after 1 steps")
    assert apart(scheduler="dpmpp-2m", sigmas="trailing").startswith("latents after 2 steps")  # the first is Euler's
