"""ControlNets through diffusers' own pipelines and through ours, from the same noise: 20 steps on tiny networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from support import both_pipelines
from support.both_pipelines import SCHEDULERS, Peers, draw, drawing, seeded
from support.controlnets import outlines, write_controlnet
from support.models import PROMPT, write_stable_diffusion
from support.models_sdxl import write_stable_diffusion_xl
from support.recording import Recording, first_difference

from latentry import ControlRequest, Engine

pytestmark = pytest.mark.slow

STEPS, GUIDANCE = 20, 5.0
OTHER = "a green star on a white background"
PICTURE, MASK = drawing()
FIRST, SECOND = outlines(4), outlines(5)
UNGUIDED = 1e-4
PIPELINES: dict[tuple[str, str], Any] = {
    ("sd", "text"): diffusers.StableDiffusionControlNetPipeline,
    ("sd", "image"): diffusers.StableDiffusionControlNetImg2ImgPipeline,
    ("sd", "mask"): diffusers.StableDiffusionControlNetInpaintPipeline,
    ("sdxl", "text"): diffusers.StableDiffusionXLControlNetPipeline,
    ("sdxl", "image"): diffusers.StableDiffusionXLControlNetImg2ImgPipeline,
    ("sdxl", "mask"): diffusers.StableDiffusionXLControlNetInpaintPipeline,
}
Both = Callable[..., tuple[Recording, Recording]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny model of each family with a UNet, two ControlNets for each, and the pictures."""
    root = tmp_path_factory.mktemp("controlnets")
    made = {"sd": write_stable_diffusion(root / "sd"), "sdxl": write_stable_diffusion_xl(root / "sdxl")}
    for family in tuple(made):
        made[f"{family} 1"] = write_controlnet(root / f"{family}-1", made[family], seed=3)
        made[f"{family} 2"] = write_controlnet(root / f"{family}-2", made[family], seed=7)
    made["union"] = write_controlnet(root / "union", made["sdxl"], union=6)
    made["pooling"] = write_controlnet(root / "pooling", made["sd"], global_pool_conditions=True)
    for name, picture in (("first", FIRST), ("second", SECOND)):
        made[name] = root / f"{name}.png"
        picture.save(made[name])
    return made


@pytest.fixture
def both(folders: dict[str, Path], engine: Engine, peers: Peers) -> Both:
    """The same request on both sides."""

    def run(
        family: str,
        *nets: str,
        task: str = "text",
        guidance: float = GUIDANCE,
        scheduler: str = "ddim",
        controls: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
        **settings: Any,
    ) -> tuple[Recording, Recording]:
        prompts = (PROMPT, OTHER) if task == "text" else (PROMPT,)
        asked = tuple(
            ControlRequest(model=str(folders[net]), picture=str(folders[name]), **(controls or {}))
            for net, name in zip(nets, ("first", "second"), strict=False)
        )
        chosen = {"steps": STEPS, "guidance": guidance, **SCHEDULERS[scheduler], **settings}
        mine = both_pipelines.ours(engine, folders[family], prompts, draw(len(prompts)), controls=asked, **chosen)
        kind = diffusers.ControlNetUnionModel if nets == ("union",) else diffusers.ControlNetModel
        loaded = [kind.from_pretrained(folders[net], local_files_only=True) for net in nets]
        pipeline = peers(
            folders[family],
            diffusers.StableDiffusionXLControlNetUnionPipeline if nets == ("union",) else PIPELINES[family, task],
            scheduler,
            controlnet=loaded[0] if len(loaded) == 1 else loaded,
        )
        shown = [FIRST, SECOND][: len(nets)]
        image: Any = shown[0] if len(nets) == 1 else shown
        given: dict[str, Any] = {"generator": seeded(), "num_inference_steps": STEPS, "guidance_scale": guidance}
        if task == "text":
            # one picture for all prompts: the pipelines count pictures and prompts
            given["control_image" if nets == ("union",) else "image"] = image
        else:
            given |= {"image": PICTURE, "control_image": image, "strength": settings["strength"]}
            given["controlnet_conditioning_scale"] = 1.0  # these pipelines have other defaults
        if task == "mask":
            given["mask_image"] = MASK
        peer = both_pipelines.theirs(pipeline, prompts, **given, **(options or {}))
        for side in (mine, peer):  # diffusers gives zeros where there is nothing to give
            side.conditioning.pop("mid_block_additional_residual", None)
        return mine, peer

    return run


def latents_apart(mine: Recording, peer: Recording) -> float:
    return float((mine.latents[0] - peer.latents[0]).abs().max())


@pytest.mark.parametrize(("family", "scheduler"), [("sd", "ddim"), ("sdxl", "euler")])
def test_one_controlnet(both: Both, family: str, scheduler: str) -> None:
    mine, peer = both(family, f"{family} 1", scheduler=scheduler)
    assert first_difference(mine, peer) == ""


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_without_guidance(both: Both, family: str) -> None:
    mine, peer = both(family, f"{family} 1", guidance=1.0, scheduler="euler")
    assert first_difference(mine, peer) == ""
    assert latents_apart(mine, peer) < UNGUIDED


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_two_controlnets_at_a_weight_and_within_an_interval(both: Both, family: str) -> None:
    mine, peer = both(
        family,
        f"{family} 1",
        f"{family} 2",
        scheduler="euler",
        controls={"weight": 0.7, "interval": (0.15, 0.6)},
        options={
            "controlnet_conditioning_scale": [0.7, 0.7],
            "control_guidance_start": [0.15, 0.15],
            "control_guidance_end": [0.6, 0.6],
        },
    )
    assert first_difference(mine, peer) == ""


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_guess_mode(both: Both, family: str) -> None:
    mine, peer = both(
        family,
        f"{family} 1",
        scheduler="euler",
        controls={"branches": "prompt", "options": {"guess": True}},
        options={"guess_mode": True},
    )
    assert first_difference(mine, peer) == ""


def test_global_pooling(both: Both) -> None:
    """Such networks steer the prompt's output alone, in diffusers without being asked."""
    mine, peer = both("sd", "pooling", controls={"branches": "prompt"})
    assert first_difference(mine, peer) == ""


def test_union(both: Both) -> None:
    mine, peer = both(
        "sdxl", "union", scheduler="euler", controls={"options": {"mode": "canny"}}, options={"control_mode": 3}
    )
    assert first_difference(mine, peer) == ""


@pytest.mark.parametrize("family", ["sd", "sdxl"])
@pytest.mark.parametrize("task", ["image", "mask"])
def test_from_a_picture(both: Both, family: str, task: str) -> None:
    inputs = {"init_image": PICTURE, "strength": 0.6} | ({"mask": MASK} if task == "mask" else {})
    mine, peer = both(family, f"{family} 1", task=task, scheduler="euler", **inputs)
    assert first_difference(mine, peer) == ""
    assert len(mine.inputs) == int(STEPS * 0.6)


def test_the_comparison_would_notice(both: Both) -> None:
    """Another weight, another picture and another network are seen after the first step."""
    peer = both("sd", "sd 1")[1]
    for change in (
        both("sd", "sd 1", controls={"weight": 0.9})[0],
        both("sd", "sd 2")[0],
        both("sd", "sd 1", controls={"interval": (0.05, 1.0)})[0],
    ):
        assert first_difference(change, peer).startswith("latents after 1 steps")
        assert not torch.equal(change.latents[0], peer.latents[0])
