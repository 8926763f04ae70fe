"""ControlNets for SD3 and FLUX.1 through diffusers' own pipelines and through ours, from the same noise: 20 steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from support import both_pipelines
from support.both_pipelines import Peers, draw, drawing, seeded
from support.controlnets import outlines, write_flux_controlnet, write_sd3_controlnet
from support.models import PROMPT
from support.models_flux import write_flux
from support.models_sd3 import write_stable_diffusion_3
from support.parts import TOKENS
from support.recording import Recording, first_difference

from latentry import ControlRequest, Engine

pytestmark = pytest.mark.slow

STEPS = 20
OTHER = "a green star on a white background"
SHOWN, SECOND = outlines(4), outlines(5)
PICTURE, MASK = drawing()
UNGUIDED = 1e-4
SIZE = {"height": 64, "width": 64, "max_sequence_length": TOKENS, "num_inference_steps": STEPS}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny models and their ControlNets, and the picture."""
    root = tmp_path_factory.mktemp("controlnets")
    sd3, flux = write_stable_diffusion_3(root / "sd3"), write_flux(root / "flux")
    shown, second = root / "shown.png", root / "second.png"
    SHOWN.save(shown)
    SECOND.save(second)
    return {
        "sd3": sd3,
        "instantx": write_sd3_controlnet(root / "instantx", sd3),
        "instantx 2": write_sd3_controlnet(root / "instantx-2", sd3, seed=7),
        "with pooled": write_sd3_controlnet(root / "pooled", sd3, force_zeros_for_pooled_projection=False),
        "flux": flux,
        "plain": write_flux_controlnet(root / "plain", flux, guidance_embeds=False),
        "plain 2": write_flux_controlnet(root / "plain-2", flux, seed=7, guidance_embeds=False),
        "union": write_flux_controlnet(root / "union", flux, num_mode=7, num_layers=2),
        "shown": shown,
        "second": second,
    }


def ours(engine: Engine, folders: dict[str, Path], model: str, *nets: str, **settings: Any) -> Recording:
    given = {name: settings.pop(name) for name in ("options", "interval", "branches") if name in settings}
    controls = tuple(
        ControlRequest(model=str(folders[net]), picture=str(folders[shown]), weight=0.8, **given)
        for net, shown in zip(nets, ("shown", "second"), strict=False)
    )
    chosen = {"steps": STEPS, "attention": "native", "width": 64, "height": 64, "controls": controls, **settings}
    return both_pipelines.ours(engine, folders[model], (PROMPT,), draw(channels=16), **chosen)


def loaded(folders: dict[str, Path], kind: Any, *nets: str) -> Any:
    found = [kind.from_pretrained(folders[net], local_files_only=True) for net in nets]
    return found[0] if len(found) == 1 else found


@pytest.mark.parametrize(("net", "guidance"), [("instantx", 5.0), ("with pooled", 1.0)])
def test_sd3(engine: Engine, folders: dict[str, Path], peers: Peers, net: str, guidance: float) -> None:
    negative = {} if guidance == 1.0 else {"negative": OTHER}
    mine = ours(engine, folders, "sd3", net, guidance=guidance, **negative)
    network = loaded(folders, diffusers.SD3ControlNetModel, net)
    pipeline = peers(folders["sd3"], diffusers.StableDiffusion3ControlNetPipeline, controlnet=network)
    peer = both_pipelines.theirs(
        pipeline,
        (PROMPT,),
        negative_prompt=[OTHER] if negative else None,
        latents=draw(channels=16),
        guidance_scale=guidance,
        sigmas=np.linspace(1, 1 / STEPS, STEPS),
        control_image=SHOWN,
        controlnet_conditioning_scale=0.8,
        **SIZE,
    )
    if guidance == 1.0:
        assert float((mine.latents[0] - peer.latents[0]).abs().max()) < UNGUIDED
    assert first_difference(mine, peer) == ""


@pytest.mark.parametrize("net", ["plain", "union"])
def test_flux(engine: Engine, folders: dict[str, Path], peers: Peers, net: str) -> None:
    options = {"mode": "depth"} if net == "union" else {}
    mine = ours(engine, folders, "flux", net, guidance=3.5, options=options)
    pipeline = peers(
        folders["flux"],
        diffusers.FluxControlNetPipeline,
        controlnet=loaded(folders, diffusers.FluxControlNetModel, net),
    )
    noise = draw(channels=16)
    peer = both_pipelines.theirs(
        pipeline,
        (PROMPT,),
        latents=diffusers.FluxPipeline._pack_latents(noise, *noise.shape),
        guidance_scale=3.5,
        control_image=SHOWN,
        control_mode=2 if net == "union" else None,
        controlnet_conditioning_scale=0.8,
        **SIZE,
    )
    assert first_difference(mine, peer) == ""
    assert float((mine.latents[0] - peer.latents[0]).abs().max()) < UNGUIDED


TWICE = {
    "control_image": [SHOWN, SECOND],
    "controlnet_conditioning_scale": [0.8, 0.8],
    "control_guidance_start": [0.15, 0.15],
    "control_guidance_end": [0.6, 0.6],
}
"""Two networks at a weight and within an interval, as diffusers is given them."""


def test_two_networks_of_sd3_within_an_interval(engine: Engine, folders: dict[str, Path], peers: Peers) -> None:
    nets = ("instantx", "instantx 2")
    mine = ours(engine, folders, "sd3", *nets, guidance=5.0, interval=(0.15, 0.6))
    networks = diffusers.SD3MultiControlNetModel(loaded(folders, diffusers.SD3ControlNetModel, *nets))
    pipeline = peers(folders["sd3"], diffusers.StableDiffusion3ControlNetPipeline, controlnet=networks)
    given = {"latents": draw(channels=16), "guidance_scale": 5.0, "sigmas": np.linspace(1, 1 / STEPS, STEPS)}
    peer = both_pipelines.theirs(pipeline, (PROMPT,), **given, **TWICE, **SIZE)
    assert first_difference(mine, peer) == ""


def test_two_networks_of_flux_within_an_interval(engine: Engine, folders: dict[str, Path], peers: Peers) -> None:
    nets = ("plain", "plain 2")
    mine = ours(engine, folders, "flux", *nets, guidance=3.5, interval=(0.15, 0.6))
    networks = diffusers.FluxMultiControlNetModel(loaded(folders, diffusers.FluxControlNetModel, *nets))
    pipeline = peers(folders["flux"], diffusers.FluxControlNetPipeline, controlnet=networks)
    noise = draw(channels=16)
    packed = diffusers.FluxPipeline._pack_latents(noise, *noise.shape)
    given = {"latents": packed, "guidance_scale": 3.5, "control_mode": [None, None]}
    peer = both_pipelines.theirs(pipeline, (PROMPT,), **given, **TWICE, **SIZE)
    assert first_difference(mine, peer) == ""


@pytest.mark.parametrize("task", ["image", "mask"])
def test_flux_from_a_picture(engine: Engine, folders: dict[str, Path], peers: Peers, task: str) -> None:
    kinds = {"image": diffusers.FluxControlNetImg2ImgPipeline, "mask": diffusers.FluxControlNetInpaintPipeline}
    masked = task == "mask"
    inputs: dict[str, Any] = {"init_image": PICTURE, "strength": 0.6} | ({"mask": MASK} if masked else {})
    mine = ours(engine, folders, "flux", "plain", guidance=3.5, **inputs)
    network = loaded(folders, diffusers.FluxControlNetModel, "plain")
    pipeline = peers(folders["flux"], kinds[task], controlnet=network)
    given = {"image": PICTURE, "control_image": SHOWN, "strength": 0.6, "generator": seeded(), "guidance_scale": 3.5}
    given |= {"controlnet_conditioning_scale": 0.8} | ({"mask_image": MASK} if masked else {})
    peer = both_pipelines.theirs(pipeline, (PROMPT,), **given, **SIZE)
    assert first_difference(mine, peer) == ""
    assert len(mine.inputs) == int(STEPS * 0.6)


@pytest.mark.parametrize("task", ["image", "mask"])
def test_sd3_from_a_picture(engine: Engine, folders: dict[str, Path], peers: Peers, task: str) -> None:
    """diffusers has no such pipeline: those without a ControlNet, to whose transformer its outputs are handed."""
    kinds = {"image": diffusers.StableDiffusion3Img2ImgPipeline, "mask": diffusers.StableDiffusion3InpaintPipeline}
    masked = task == "mask"
    inputs: dict[str, Any] = {"init_image": PICTURE, "strength": 0.6} | ({"mask": MASK} if masked else {})
    mine = ours(engine, folders, "sd3", "with pooled", guidance=5.0, **inputs)
    pipeline = peers(folders["sd3"], kinds[task])
    network = loaded(folders, diffusers.SD3ControlNetModel, "with pooled")
    with torch.no_grad():
        latents = pipeline.vae.encode(pipeline.image_processor.preprocess(SHOWN)).latent_dist.mode()
    shown = (latents - pipeline.vae.config.shift_factor) * pipeline.vae.config.scaling_factor

    def steered(module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        names = ("hidden_states", "timestep", "encoder_hidden_states", "pooled_projections")
        seen = {name: kwargs[name] for name in names}
        condition = shown.expand(len(seen["hidden_states"]), -1, -1, -1)
        blocks = network(**seen, controlnet_cond=condition, conditioning_scale=0.8, return_dict=False)[0]
        return args, {**kwargs, "block_controlnet_hidden_states": blocks}

    given = {"image": PICTURE, "strength": 0.6, "generator": seeded(), "guidance_scale": 5.0}
    given |= {"sigmas": np.linspace(1, 1 / STEPS, STEPS)} | ({"mask_image": MASK} if masked else {})
    handle = pipeline.transformer.register_forward_pre_hook(steered, with_kwargs=True)
    try:
        peer = both_pipelines.theirs(pipeline, (PROMPT,), **given, **SIZE)
    finally:
        handle.remove()
    assert first_difference(mine, peer) == ""


def test_the_networks_of_sd35_without_text_and_positions(engine: Engine, folders: dict[str, Path]) -> None:
    """Tokens are made by the transformer's own embedding, as diffusers' pipeline has it by a copy."""
    root = folders["sd3"].parent
    bare = write_sd3_controlnet(
        root / "bare",
        folders["sd3"],
        joint_attention_dim=None,
        use_pos_embed=False,
        pos_embed_type=None,
        force_zeros_for_pooled_projection=False,
    )
    plain = ours(engine, folders, "sd3", guidance=1.0)
    mine = ours(engine, {**folders, "bare": bare}, "sd3", "bare", guidance=1.0)
    assert not torch.equal(mine.latents[0], plain.latents[0])
