"""IP-Adapters through diffusers' own pipelines and through ours, from the same noise: 20 steps on tiny networks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
from diffusers.image_processor import IPAdapterMaskProcessor
from PIL import Image, ImageDraw
from support import both_pipelines
from support.both_pipelines import PEERS, SCHEDULERS, draw, drawing, seeded
from support.controlnets import write_flux_ip_adapter, write_ip_adapter, write_sd3_ip_adapter
from support.models import PROMPT, write_stable_diffusion
from support.models_flux import write_flux
from support.models_sd3 import write_stable_diffusion_3
from support.models_sdxl import write_stable_diffusion_xl
from support.parts import TOKENS
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection, SiglipImageProcessor, SiglipVisionModel

from latentry import ControlRequest, Engine

pytestmark = pytest.mark.slow

STEPS = 20
PICTURE = drawing()[0].crop((0, 0, 64, 40))
"""Of other proportions than the result."""
GUIDED, UNGUIDED = 1e-3, 1e-4
PIPELINES: dict[str, Any] = {"sd": diffusers.StableDiffusionPipeline, "sdxl": diffusers.StableDiffusionXLPipeline}


@pytest.mark.parametrize(("family", "guidance"), [("sd", 1.0), ("sd", 5.0), ("sdxl", 5.0)])
def test_both_pipelines_agree(engine: Engine, tmp_path: Path, family: str, guidance: float) -> None:
    model = {"sd": write_stable_diffusion, "sdxl": write_stable_diffusion_xl}[family](tmp_path / family)
    adapter, picture = write_ip_adapter(tmp_path / "adapter", model), PICTURE
    shown = tmp_path / "shown.png"
    picture.save(shown)
    asked = ControlRequest(model=str(adapter), picture=str(shown), weight=0.7)
    chosen = {"steps": STEPS, "guidance": guidance, **SCHEDULERS["euler"], "attention": "sdpa", "controls": (asked,)}
    mine = both_pipelines.ours(engine, model, (PROMPT,), draw(), **chosen)
    plain = both_pipelines.ours(engine, model, (PROMPT,), draw(), **{**chosen, "controls": ()})

    encoder = CLIPVisionModelWithProjection.from_pretrained(adapter.parent / "image_encoder", local_files_only=True)
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    pipeline = PIPELINES[family].from_pretrained(
        model, image_encoder=encoder, feature_extractor=CLIPImageProcessor(**size), local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    name, options = PEERS["euler"]
    pipeline.scheduler = getattr(diffusers, name).from_config(pipeline.scheduler.config, **options)
    pipeline.load_ip_adapter(adapter.parent, subfolder="", weight_name=adapter.name, image_encoder_folder=None)
    pipeline.set_ip_adapter_scale(0.7)
    given = {"generator": seeded(), "num_inference_steps": STEPS, "guidance_scale": guidance, "height": 64, "width": 64}
    peer = both_pipelines.theirs(pipeline, (PROMPT,), ip_adapter_image=picture, **given)

    assert apart(mine, peer) < (UNGUIDED if guidance == 1.0 else GUIDED)
    assert apart(plain, peer) > 0.1


@pytest.mark.parametrize(("family", "guidance"), [("sd", 1.0), ("sdxl", 5.0)])
def test_both_pipelines_agree_within_masks(engine: Engine, tmp_path: Path, family: str, guidance: float) -> None:
    """Two adapters, each within a mask of its own."""
    model = {"sd": write_stable_diffusion, "sdxl": write_stable_diffusion_xl}[family](tmp_path / family)
    adapter = write_ip_adapter(tmp_path / "adapter", model)
    other = write_ip_adapter(tmp_path / "other", model, seed=4)
    shutil.copytree(adapter.parent / "image_encoder", other.parent / "image_encoder", dirs_exist_ok=True)
    PICTURE.save(tmp_path / "shown.png")
    masks = [Image.new("L", (64, 64)) for _ in range(2)]
    ImageDraw.Draw(masks[0]).ellipse((3, 10, 37, 61), fill=255)
    ImageDraw.Draw(masks[1]).polygon([(30, 2), (62, 30), (41, 63)], fill=255)
    for number, mask in enumerate(masks):
        mask.save(tmp_path / f"{number}.png")
    shown = {"picture": str(tmp_path / "shown.png"), "weight": 0.7}
    files = (adapter, other)
    asked = tuple(
        ControlRequest(model=str(file), mask=str(tmp_path / f"{number}.png"), **shown)
        for number, file in enumerate(files)
    )
    chosen: dict[str, Any] = {"steps": STEPS, "guidance": guidance, **SCHEDULERS["euler"], "attention": "sdpa"}
    mine = both_pipelines.ours(engine, model, (PROMPT,), draw(), **chosen, controls=asked)
    everywhere = tuple(each.model_copy(update={"mask": None}) for each in asked)
    unmasked = both_pipelines.ours(engine, model, (PROMPT,), draw(), **chosen, controls=everywhere)

    encoder = CLIPVisionModelWithProjection.from_pretrained(adapter.parent / "image_encoder", local_files_only=True)
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    pipeline = PIPELINES[family].from_pretrained(
        model, image_encoder=encoder, feature_extractor=CLIPImageProcessor(**size), local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    name, options = PEERS["euler"]
    pipeline.scheduler = getattr(diffusers, name).from_config(pipeline.scheduler.config, **options)
    pipeline.load_ip_adapter(
        [str(file.parent) for file in files],
        subfolder=["", ""],
        weight_name=[file.name for file in files],
        image_encoder_folder=None,
    )
    pipeline.set_ip_adapter_scale([0.7, 0.7])
    regions = list(IPAdapterMaskProcessor().preprocess(masks, height=64, width=64)[:, None])
    given = {"generator": seeded(), "num_inference_steps": STEPS, "guidance_scale": guidance, "height": 64, "width": 64}
    peer = both_pipelines.theirs(
        pipeline,
        (PROMPT,),
        ip_adapter_image=[PICTURE, PICTURE],
        cross_attention_kwargs={"ip_adapter_masks": regions},
        **given,
    )
    assert apart(mine, peer) < (UNGUIDED if guidance == 1.0 else GUIDED)
    assert apart(unmasked, peer) > 0.05


@pytest.mark.parametrize("true", [False, True])
def test_both_pipelines_agree_on_flux(engine: Engine, tmp_path: Path, true: bool) -> None:
    """An adapter of XLabs' layout; with a negative prompt, whose output is shown a black picture."""
    model = write_flux(tmp_path / "flux")
    adapter, picture = write_flux_ip_adapter(tmp_path / "adapter", model), PICTURE
    picture.save(tmp_path / "shown.png")
    asked = ControlRequest(model=str(adapter), picture=str(tmp_path / "shown.png"), weight=0.7)
    chosen: dict[str, Any] = {"steps": STEPS, "guidance": 3.5, "attention": "sdpa", "width": 64, "height": 64}
    if true:
        chosen |= {"negative": "a star", "guidance_method": "true-cfg", "guidance_options": {"scale": 3.0}}
    noise = draw(channels=16)
    mine = both_pipelines.ours(engine, model, (PROMPT,), noise, controls=(asked,), **chosen)
    plain = both_pipelines.ours(engine, model, (PROMPT,), noise, **chosen)

    encoder = CLIPVisionModelWithProjection.from_pretrained(adapter.parent / "image_encoder", local_files_only=True)
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    pipeline: Any = diffusers.FluxPipeline.from_pretrained(
        model, image_encoder=encoder, feature_extractor=CLIPImageProcessor(**size), local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_ip_adapter(
        adapter.parent, weight_name=adapter.name, subfolder="", image_encoder_pretrained_model_name_or_path=None
    )
    pipeline.set_ip_adapter_scale(0.7)
    given = {"num_inference_steps": STEPS, "guidance_scale": 3.5, "height": 64, "width": 64}
    given |= {"max_sequence_length": TOKENS} | ({"negative_prompt": ["a star"], "true_cfg_scale": 3.0} if true else {})
    packed = diffusers.FluxPipeline._pack_latents(noise, *noise.shape)
    peer = both_pipelines.theirs(pipeline, (PROMPT,), latents=packed, ip_adapter_image=picture, **given)
    assert apart(mine, peer) < (GUIDED if true else UNGUIDED)
    assert apart(plain, peer) > 0.1


@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_both_pipelines_agree_on_sd3(engine: Engine, tmp_path: Path, guidance: float) -> None:
    """An adapter of InstantX's layout, whose projection depends on the noise level."""
    model = write_stable_diffusion_3(tmp_path / "sd3", dual_attention_layers=())
    adapter = write_sd3_ip_adapter(tmp_path / "adapter", model)
    PICTURE.save(tmp_path / "shown.png")
    asked = ControlRequest(model=str(adapter), picture=str(tmp_path / "shown.png"), weight=0.7)
    chosen: dict[str, Any] = {"steps": STEPS, "guidance": guidance, "attention": "sdpa", "variant": "sd35-large"}
    chosen |= {"width": 64, "height": 64}
    noise = draw(channels=16)
    mine = both_pipelines.ours(engine, model, (PROMPT,), noise, controls=(asked,), **chosen)
    plain = both_pipelines.ours(engine, model, (PROMPT,), noise, **chosen)

    encoder = SiglipVisionModel.from_pretrained(adapter.parent / "image_encoder", local_files_only=True)
    extractor = SiglipImageProcessor(size={"height": 32, "width": 32})
    pipeline: Any = diffusers.StableDiffusion3Pipeline.from_pretrained(
        model, image_encoder=encoder, feature_extractor=extractor, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_ip_adapter(adapter.parent, weight_name=adapter.name, image_encoder_folder=None)
    pipeline.set_ip_adapter_scale(0.7)
    given = {"num_inference_steps": STEPS, "guidance_scale": guidance, "height": 64, "width": 64}
    given |= {"max_sequence_length": TOKENS, "sigmas": np.linspace(1, 1 / STEPS, STEPS)}
    peer = both_pipelines.theirs(pipeline, (PROMPT,), latents=noise, ip_adapter_image=PICTURE, **given)
    assert apart(mine, peer) < (UNGUIDED if guidance == 1.0 else GUIDED)
    assert apart(plain, peer) > 0.05


def apart(a: Any, b: Any) -> float:
    """How far latents at the end are apart."""
    return float((a.latents[0] - b.latents[0]).abs().max())
