"""The same noise, prompt and grid through diffusers' own Z-Image pipelines and through ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from diffusers import ZImageImg2ImgPipeline, ZImageInpaintPipeline, ZImagePipeline
from support import both_pipelines
from support.both_pipelines import Peers, draw, drawing, seeded
from support.models import PROMPT
from support.models_z_image import Kind, write_z_image
from support.recording import LATENTS, Recording, first_difference
from torch import Tensor

from latentry import Engine, PluginHost

pytestmark = pytest.mark.slow

STEPS = 20
OTHER = "a green star on a white background"
PICTURE, MASK = drawing()
Side = Callable[..., Recording]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Kind, Path]:
    """Random models by variant."""
    root = tmp_path_factory.mktemp("z-image")
    kinds: tuple[Kind, ...] = ("turbo", "base")
    return {kind: write_z_image(root / kind, kind) for kind in kinds}


def start(count: int = 1, height: int = 16, width: int = 16) -> Tensor:
    """Standard normal, for both."""
    return draw(count, channels=16, height=height, width=width)


@pytest.fixture
def theirs(folders: Mapping[Kind, Path], peers: Peers) -> Side:
    """diffusers' side."""

    def side(pipeline: Any, kind: Kind, *prompts: str, height: int = 64, width: int = 64, **options: Any) -> Recording:
        given = {"num_inference_steps": STEPS, "guidance_scale": 0.0, "height": height, "width": width, **options}
        return both_pipelines.theirs(peers(folders[kind], pipeline), prompts, **given)

    return side


@pytest.fixture
def ours(folders: Mapping[Kind, Path], engine: Engine) -> Side:
    """Latentry's side; attention is the network's own unless the settings say otherwise."""

    def side(kind: Kind, *prompts: str, latents: Tensor | None = None, **settings: Any) -> Recording:
        noise = start(len(prompts)) if latents is None else latents
        height, width = (4 * side for side in noise.shape[2:])
        chosen = {"steps": STEPS, "guidance": 1.0, "height": height, "width": width, "attention": "native", **settings}
        return both_pipelines.ours(engine, folders[kind], prompts, noise, **chosen)

    return side


@pytest.mark.parametrize("attention", ["native", "sdpa"])
@pytest.mark.parametrize("kind", ["turbo", "base"])
def test_both_pipelines_agree(ours: Side, theirs: Side, kind: Kind, attention: str) -> None:
    mine = ours(kind, PROMPT, attention=attention)
    assert first_difference(mine, theirs(ZImagePipeline, kind, PROMPT, latents=start())) == ""
    assert mine.times[0] == 0.0
    assert len(mine.inputs) == STEPS


def test_both_pipelines_agree_on_a_wide_batch_of_two_prompts(ours: Side, theirs: Side) -> None:
    """Of different lengths, which the network pads to one."""
    latents = start(2, 12, 24)
    mine = ours("turbo", PROMPT, "a red star", latents=latents)
    peer = theirs(ZImagePipeline, "turbo", PROMPT, "a red star", latents=latents, height=48, width=96)
    assert len(mine.inputs) == STEPS
    assert float((mine.latents[0] - peer.latents[0]).abs().max()) < LATENTS
    assert float((mine.latents[0][0] - mine.latents[0][1]).abs().max()) > 0.1


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        ({}, None),
        ({"cfg_normalization": 1.05}, {"largest": 1.05}),
        ({"cfg_normalization": 1.0, "cfg_truncation": 0.45}, {"until": 0.45}),
    ],
    ids=["plain", "norm", "time"],
)
def test_both_pipelines_agree_on_guidance(ours: Side, theirs: Side, options: Any, limits: Any) -> None:
    """Theirs is counted from 0, and they evaluate the prompt first."""
    method = {} if limits is None else {"guidance_method": "norm-limited", "guidance_options": limits}
    mine = ours("base", PROMPT, guidance=5.0, negative=OTHER, **method)
    own = {"guidance_scale": 4.0, "negative_prompt": [OTHER], **options}
    peer = theirs(ZImagePipeline, "base", PROMPT, latents=start(), **own)
    assert float((mine.latents[0] - peer.latents[0]).abs().max()) < LATENTS
    plain = ours("base", PROMPT, guidance=5.0, negative=OTHER)
    assert (limits is None) == (float((mine.latents[0] - plain.latents[0]).abs().max()) < LATENTS)


@pytest.mark.parametrize("strength", [0.3, 0.6])
def test_both_pipelines_agree_from_a_picture(ours: Side, theirs: Side, strength: float) -> None:
    mine = ours("turbo", PROMPT, init_image=PICTURE, strength=strength)
    given = {"image": PICTURE, "strength": strength, "generator": seeded()}
    assert first_difference(mine, theirs(ZImageImg2ImgPipeline, "turbo", PROMPT, **given)) == ""
    assert len(mine.inputs) == round(STEPS * strength)


@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_both_pipelines_agree_within_a_mask(ours: Side, theirs: Side, strength: float) -> None:
    mine = ours("turbo", PROMPT, init_image=PICTURE, mask=MASK, strength=strength)
    given = {"image": PICTURE, "mask_image": MASK, "strength": strength, "generator": seeded()}
    assert first_difference(mine, theirs(ZImageInpaintPipeline, "turbo", PROMPT, **given)) == ""


def test_the_comparison_would_notice(ours: Side, theirs: Side) -> None:
    """Each input is seen in the result, at the stage where it comes in."""
    recorded = theirs(ZImagePipeline, "turbo", PROMPT, latents=start())

    def apart(prompt: str = PROMPT, **settings: Any) -> str:
        return first_difference(ours("turbo", prompt, **settings), recorded)

    assert apart(prompt=OTHER).startswith("ids of")
    assert apart(sigma_options={"shift": 1.5}).startswith("times")
    assert apart(latents=start() * 1.001).startswith("initial latents")
    assert apart(scheduler="dpmpp-2m", sigmas="trailing").startswith("latents after 2 steps")  # the first is Euler's


def test_the_guidance_is_offered_to_every_family_that_is_guided() -> None:
    assert PluginHost().guidance["norm-limited"].kinds == {"classifier-free"}
