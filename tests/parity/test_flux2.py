"""The same noise, prompt, references and grid through diffusers' own FLUX.2 pipelines and through ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers import FlowMatchEulerDiscreteScheduler, Flux2KleinInpaintPipeline, Flux2KleinPipeline, Flux2Pipeline
from diffusers.pipelines.flux2.pipeline_flux2 import compute_empirical_mu
from PIL import Image
from support import both_pipelines
from support.both_pipelines import Peers, draw, drawing, seeded
from support.models import PROMPT
from support.models_flux2 import WINDOW, Kind, write_flux2
from support.recording import LATENTS, Recording, first_difference
from torch import Tensor

from latentry import Engine, Flow, ModelFiles, Trailing
from latentry_flux2.checkpoint import open_checkpoint

pytestmark = pytest.mark.slow

KINDS: tuple[Kind, ...] = ("dev", "klein-4b", "klein-base-4b")
PIPELINES = {"dev": Flux2Pipeline, "klein-4b": Flux2KleinPipeline, "klein-base-4b": Flux2KleinPipeline}
STEPS = 20
OTHER = "a green star on a white background"
PICTURE, MASK = drawing()
Side = Callable[..., Recording]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Kind, Path]:
    """Random models by variant."""
    root = tmp_path_factory.mktemp("flux2")
    return {kind: write_flux2(root / kind, kind) for kind in KINDS}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Reference pictures: one of the drawing's size, and one whose edges are cut."""
    root = tmp_path_factory.mktemp("references")
    shown = [PICTURE, Image.linear_gradient("L").convert("RGB").resize((99, 67))]
    files = [root / f"{number}.png" for number in range(len(shown))]
    for file, picture in zip(files, shown, strict=True):
        picture.save(file)
    return files


def start(count: int = 1, height: int = 16, width: int = 16) -> Tensor:
    """Standard normal, for both."""
    return draw(count, channels=32, height=height, width=width)


@pytest.fixture
def theirs(folders: Mapping[Kind, Path], peers: Peers) -> Side:
    """diffusers' side."""

    def side(kind: Kind, *prompts: str, pipeline: Any = None, **options: Any) -> Recording:
        guidance = 4.0 if kind == "dev" else 1.0
        size = {"height": 64, "width": 64, "max_sequence_length": WINDOW[kind == "dev"]}
        given = {"num_inference_steps": STEPS, "guidance_scale": guidance, **size, **options}
        return both_pipelines.theirs(peers(folders[kind], pipeline or PIPELINES[kind]), prompts, **given)

    return side


@pytest.fixture
def ours(folders: Mapping[Kind, Path], engine: Engine) -> Side:
    """Latentry's side; attention is the network's own unless the settings say otherwise."""

    def side(kind: Kind, *prompts: str, latents: Tensor | None = None, **settings: Any) -> Recording:
        noise = start(len(prompts)) if latents is None else latents
        height, width = (4 * side for side in noise.shape[2:])
        chosen = {"steps": STEPS, "guidance": 4.0 if kind == "dev" else 1.0, "height": height, "width": width}
        return both_pipelines.ours(
            engine, folders[kind], prompts, noise, **{"attention": "native", **chosen, **settings}
        )

    return side


@pytest.mark.parametrize("attention", ["native", "sdpa"])
@pytest.mark.parametrize("kind", KINDS)
def test_both_pipelines_agree(ours: Side, theirs: Side, kind: Kind, attention: str) -> None:
    mine = ours(kind, PROMPT, attention=attention)
    assert first_difference(mine, theirs(kind, PROMPT, latents=start())) == ""
    assert len(mine.inputs) == STEPS
    assert ("guidance" in mine.conditioning) == (kind == "dev")


def test_both_pipelines_agree_on_a_wide_batch_of_two_prompts(ours: Side, theirs: Side) -> None:
    latents = start(2, 12, 24)
    mine = ours("klein-base-4b", PROMPT, OTHER, latents=latents)
    recorded = theirs("klein-base-4b", PROMPT, OTHER, latents=latents, height=48, width=96)
    assert first_difference(mine, recorded) == ""
    assert float((mine.latents[0][0] - mine.latents[0][1]).abs().max()) > 0.01


@pytest.mark.parametrize("kind", ["dev", "klein-4b"])
@pytest.mark.parametrize("count", [1, 2])
def test_both_pipelines_agree_on_references(
    ours: Side, theirs: Side, pictures: list[Path], kind: Kind, count: int
) -> None:
    """Their tokens follow the picture's, each at a place of its own."""
    shown = pictures[:count]
    mine = ours(kind, PROMPT, references=tuple(map(str, shown)))
    recorded = theirs(kind, PROMPT, latents=start(), image=[Image.open(file) for file in shown])
    assert first_difference(mine, recorded) == ""
    assert mine.inputs[0].shape[1] == (16 * 16, 2 * 16 * 16, 2 * 16 * 16 + 24 * 16)[count]


def test_both_pipelines_agree_on_guidance(ours: Side, theirs: Side, pictures: list[Path]) -> None:
    """Theirs is away from an empty prompt, with the references on both sides."""
    mine = ours("klein-base-4b", PROMPT, guidance=4.0, references=(str(pictures[0]),))
    peer = theirs("klein-base-4b", PROMPT, latents=start(), guidance_scale=4.0, image=[PICTURE])
    assert float((mine.latents[0] - peer.latents[0]).abs().max()) < LATENTS
    assert float((mine.latents[0] - ours("klein-base-4b", PROMPT).latents[0]).abs().max()) > 0.01


@pytest.mark.parametrize("strength", [0.3, 0.6])
def test_both_pipelines_agree_from_a_picture(ours: Side, theirs: Side, pictures: list[Path], strength: float) -> None:
    """Theirs is one for masks: a white one keeps nothing. It shows the network the picture."""
    mine = ours("klein-base-4b", PROMPT, init_image=PICTURE, strength=strength, references=(str(pictures[0]),))
    white = Image.new("L", PICTURE.size, 255)
    given = {"image": PICTURE, "mask_image": white, "strength": strength, "generator": seeded()}
    peer = theirs("klein-base-4b", PROMPT, pipeline=Flux2KleinInpaintPipeline, **given)
    assert first_difference(mine, peer) == ""
    assert len(mine.inputs) == round(STEPS * strength)


@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_both_pipelines_agree_within_a_mask(ours: Side, theirs: Side, pictures: list[Path], strength: float) -> None:
    """Their pipeline shows the network the picture, whole."""
    mine = ours(
        "klein-base-4b", PROMPT, init_image=PICTURE, mask=MASK, strength=strength, references=(str(pictures[0]),)
    )
    given = {"image": PICTURE, "mask_image": MASK, "strength": strength, "generator": seeded()}
    peer = theirs("klein-base-4b", PROMPT, pipeline=Flux2KleinInpaintPipeline, **given)
    assert first_difference(mine, peer) == ""


@pytest.mark.parametrize("steps", [1, 4, 28, 50])
@pytest.mark.parametrize("pixels", [(64, 64), (256, 192), (320, 320)])
def test_the_grid_is_flow_matchings(folders: Mapping[Kind, Path], pixels: tuple[int, int], steps: int) -> None:
    """Its shift depends on the tokens, 4 pixels to a side here, and on the steps; beyond 4300 tokens on them alone."""
    folder = folders["klein-base-4b"]
    scheduler: Any = FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler", local_files_only=True)
    mu = compute_empirical_mu(pixels[0] // 4 * (pixels[1] // 4), steps)
    scheduler.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps), mu=mu)
    shift = open_checkpoint(ModelFiles(folder), "klein-base-4b").shift_for(*pixels, steps)
    points = Trailing(shift=shift).points(steps, Flow())
    assert [point.sigma for point in points] == pytest.approx(scheduler.sigmas[:-1].tolist(), rel=1e-6)


def test_the_comparison_would_notice(ours: Side, theirs: Side, pictures: list[Path]) -> None:
    """Each input is seen in the result, at the stage where it comes in."""
    recorded = theirs("dev", PROMPT, latents=start(), image=[PICTURE])

    def apart(prompt: str = PROMPT, shown: Path = pictures[0], **settings: Any) -> str:
        return first_difference(ours("dev", prompt, references=(str(shown),), **settings), recorded)

    assert apart(prompt=OTHER).startswith("ids of")
    assert apart(guidance=3.6).startswith("given guidance")
    assert apart(shown=pictures[1]).startswith("given rotary")
    assert apart(sigma_options={"shift": 1.5}).startswith("times")
    assert apart(latents=start() * 1.001).startswith("initial latents")
