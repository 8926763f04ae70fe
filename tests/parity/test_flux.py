"""The same noise, prompt and grid through diffusers' own FLUX.1 pipelines and through ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    FluxControlPipeline,
    FluxFillPipeline,
    FluxImg2ImgPipeline,
    FluxInpaintPipeline,
    FluxPipeline,
)
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from support import both_pipelines
from support.both_pipelines import Peers, draw, drawing, seeded
from support.models import PROMPT
from support.models_flux import FACTOR, Kind, write_flux
from support.parts import TOKENS
from support.recording import Recording, first_difference
from torch import Tensor

from latentry import Engine, Flow, ModelFiles, Trailing
from latentry._generate._batch._start import Blend
from latentry_flux.checkpoint import open_checkpoint

pytestmark = pytest.mark.slow

KINDS: tuple[Kind, ...] = ("dev", "schnell", "fill", "canny")
STEPS = {"dev": 20, "schnell": 4, "fill": 20, "canny": 20}
GUIDANCE = {"dev": 3.5, "schnell": 1.0, "fill": 30.0, "canny": 30.0}
OTHER = "a green star on a white background"
PICTURE, MASK = drawing()
Side = Callable[..., Recording]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Random models by variant."""
    root = tmp_path_factory.mktemp("flux")
    return {kind: write_flux(root / kind, kind) for kind in KINDS}


def start(count: int = 1, height: int = 16, width: int = 16) -> Tensor:
    """Standard normal, for both."""
    return draw(count, channels=16, height=height, width=width)


def packed(latents: Tensor) -> Tensor:
    """As the peer takes them."""
    return FluxPipeline._pack_latents(latents, *latents.shape)


@pytest.fixture
def theirs(folders: Mapping[str, Path], peers: Peers) -> Side:
    """diffusers' side."""

    def side(pipeline: Any, kind: Kind, *prompts: str, height: int = 64, width: int = 64, **options: Any) -> Recording:
        steps, size = STEPS[kind], {"height": height, "width": width, "max_sequence_length": TOKENS}
        given = {"num_inference_steps": steps, "guidance_scale": GUIDANCE[kind], **size, **options}
        return both_pipelines.theirs(peers(folders[kind], pipeline), prompts, **given)

    return side


@pytest.fixture
def ours(folders: Mapping[str, Path], engine: Engine) -> Side:
    """Latentry's side; attention is the network's own unless the settings say otherwise."""

    def side(kind: Kind, *prompts: str, latents: Tensor | None = None, **settings: Any) -> Recording:
        noise = start(len(prompts)) if latents is None else latents
        height, width = (FACTOR * side for side in noise.shape[2:])
        chosen = {"steps": STEPS[kind], "guidance": GUIDANCE[kind], "height": height, "width": width, **settings}
        return both_pipelines.ours(engine, folders[kind], prompts, noise, **{"attention": "native", **chosen})

    return side


@pytest.mark.parametrize("kind", ["dev", "schnell"])
def test_both_pipelines_agree(ours: Side, theirs: Side, kind: Kind) -> None:
    mine = ours(kind, PROMPT)
    assert first_difference(mine, theirs(FluxPipeline, kind, PROMPT, latents=packed(start()))) == ""
    assert len(mine.inputs) == STEPS[kind]
    assert ("guidance" in mine.conditioning) == (kind == "dev")


def test_both_pipelines_agree_on_a_wide_batch_of_two_prompts(ours: Side, theirs: Side) -> None:
    latents = start(2, 12, 24)
    mine = ours("dev", PROMPT, OTHER, latents=latents)
    recorded = theirs(FluxPipeline, "dev", PROMPT, OTHER, latents=packed(latents), height=48, width=96)
    assert first_difference(mine, recorded) == ""
    assert float((mine.latents[0][0] - mine.latents[0][1]).abs().max()) > 0.1


def test_both_pipelines_agree_through_an_attention_backend(ours: Side, theirs: Side) -> None:
    """Double and single blocks, the autoencoder and the text encoders."""
    recorded = theirs(FluxPipeline, "dev", PROMPT, latents=packed(start()))
    assert first_difference(ours("dev", PROMPT, attention="sdpa"), recorded) == ""


@pytest.mark.parametrize("kind", ["dev", "schnell"])
def test_both_pipelines_agree_on_true_guidance_beside_the_distilled(ours: Side, theirs: Side, kind: Kind) -> None:
    """They evaluate one side after the other, we both together: the latents at the end are compared."""
    true = {"guidance_method": "true-cfg", "guidance_options": {"scale": 3.0}}
    mine = ours(kind, PROMPT, negative=OTHER, **true)
    peer = theirs(FluxPipeline, kind, PROMPT, latents=packed(start()), negative_prompt=[OTHER], true_cfg_scale=3.0)
    assert float((mine.latents[0] - peer.latents[0]).abs().max()) < 1e-3
    assert float((mine.latents[0] - ours(kind, PROMPT).latents[0]).abs().max()) > 0.1
    assert {len(sample) for sample in mine.inputs} == {1}


@pytest.mark.parametrize("strength", [0.3, 0.6])
def test_both_pipelines_agree_from_a_picture(ours: Side, theirs: Side, strength: float) -> None:
    mine = ours("dev", PROMPT, init_image=PICTURE, strength=strength)
    given = {"image": PICTURE, "strength": strength, "generator": seeded()}
    assert first_difference(mine, theirs(FluxImg2ImgPipeline, "dev", PROMPT, **given)) == ""
    assert len(mine.inputs) == round(20 * strength)


@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_both_pipelines_agree_within_a_mask(ours: Side, theirs: Side, strength: float) -> None:
    mine = ours("dev", PROMPT, init_image=PICTURE, mask=MASK, strength=strength)
    given = {"image": PICTURE, "mask_image": MASK, "strength": strength, "generator": seeded()}
    assert first_difference(mine, theirs(FluxInpaintPipeline, "dev", PROMPT, **given)) == ""


def test_both_pipelines_agree_on_filling(ours: Side, theirs: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    """The samples hold what Fill is shown of the picture and of the mask; the pipeline does not blend."""
    monkeypatch.setattr(Blend, "__call__", lambda *given: None)
    mine = ours("fill", PROMPT, init_image=PICTURE, mask=MASK)
    given = {"image": PICTURE, "mask_image": MASK, "latents": packed(start())}
    assert first_difference(mine, theirs(FluxFillPipeline, "fill", PROMPT, **given)) == ""
    assert mine.inputs[0].shape[-1] == 64 + 64 + 4 * FACTOR**2
    assert mine.conditioning["shown"].shape[-1] == 64 + 4 * FACTOR**2


def test_both_pipelines_agree_on_a_picture_of_edges(ours: Side, theirs: Side, tmp_path: Path) -> None:
    """Canny's network is shown its latents beside the sample's."""
    PICTURE.save(tmp_path / "edges.png")
    mine = ours("canny", PROMPT, references=(str(tmp_path / "edges.png"),), variant="canny")
    given = {"control_image": PICTURE, "latents": packed(start())}
    assert first_difference(mine, theirs(FluxControlPipeline, "canny", PROMPT, **given)) == ""
    assert mine.inputs[0].shape[-1] == 128


@pytest.mark.parametrize("steps", [1, 4, 20, 28])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pixels", [64, 256, 1024])
def test_the_grid_is_flow_matchings(folders: Mapping[str, Path], kind: Kind, pixels: int, steps: int) -> None:
    """Under each checkpoint's own configuration; 8 pixels make a token's side here."""
    scheduler: Any = FlowMatchEulerDiscreteScheduler.from_pretrained(folders[kind] / "scheduler", local_files_only=True)
    scheduler.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps), mu=calculate_shift((pixels // 8) ** 2))
    points = Trailing(shift=open_checkpoint(ModelFiles(folders[kind]), kind).shift(pixels, pixels)).points(
        steps, Flow()
    )
    assert [point.sigma for point in points] == pytest.approx(scheduler.sigmas[:-1].tolist(), rel=1e-6)
    assert [point.timestep for point in points] == pytest.approx(scheduler.timesteps.tolist(), rel=1e-6)


def test_the_comparison_would_notice(ours: Side, theirs: Side) -> None:
    """Each input is seen in the result, at the stage where it comes in."""
    recorded = theirs(FluxPipeline, "dev", PROMPT, latents=packed(start()))

    def apart(prompt: str = PROMPT, **settings: Any) -> str:
        return first_difference(ours("dev", prompt, **settings), recorded)

    assert apart(prompt=OTHER).startswith("ids of")
    assert apart(guidance=3.6).startswith("given guidance")
    assert apart(sigma_options={"shift": 1.5}).startswith("times")
    assert apart(latents=start() * 1.001).startswith("initial latents")
    assert apart(scheduler="dpmpp-2m", sigmas="trailing").startswith("latents after 2 steps")  # the first is Euler's
