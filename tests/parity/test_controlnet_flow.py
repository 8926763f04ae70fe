"""ControlNets for SD3 and FLUX.1 through diffusers' own pipelines and through ours, from the same noise: 20 steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from support import both_pipelines
from support.both_pipelines import Peers, draw
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
SHOWN = outlines(4)
UNGUIDED = 1e-4
SIZE = {"height": 64, "width": 64, "max_sequence_length": TOKENS, "num_inference_steps": STEPS}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny models and their ControlNets, and the picture."""
    root = tmp_path_factory.mktemp("controlnets")
    sd3, flux = write_stable_diffusion_3(root / "sd3"), write_flux(root / "flux")
    shown = root / "shown.png"
    SHOWN.save(shown)
    return {
        "sd3": sd3,
        "instantx": write_sd3_controlnet(root / "instantx", sd3),
        "with pooled": write_sd3_controlnet(root / "pooled", sd3, force_zeros_for_pooled_projection=False),
        "flux": flux,
        "plain": write_flux_controlnet(root / "plain", flux, guidance_embeds=False),
        "union": write_flux_controlnet(root / "union", flux, num_mode=7, num_layers=2),
        "shown": shown,
    }


def ours(engine: Engine, folders: dict[str, Path], model: str, *nets: str, **settings: Any) -> Recording:
    options = settings.pop("options", {})
    controls = tuple(
        ControlRequest(model=str(folders[net]), picture=str(folders["shown"]), weight=0.8, options=options)
        for net in nets
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
