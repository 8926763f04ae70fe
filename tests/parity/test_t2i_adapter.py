"""T2I-Adapters through diffusers' own pipelines and through ours, from the same noise: 20 steps on tiny networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import pytest
from support import both_pipelines
from support.both_pipelines import SCHEDULERS, Peers, draw, seeded
from support.controlnets import attending_first, outlines, write_t2i_adapter
from support.models import PROMPT, write_stable_diffusion
from support.models_sdxl import write_stable_diffusion_xl
from support.recording import first_difference

from latentry import ControlRequest, Engine

pytestmark = pytest.mark.slow

STEPS = 20
UNGUIDED = 1e-4
PIPELINES: dict[str, Any] = {
    "sd": diffusers.StableDiffusionAdapterPipeline,
    "sdxl": diffusers.StableDiffusionXLAdapterPipeline,
}


@pytest.mark.parametrize(
    ("family", "guidance", "kind"), [("sd", 5.0, "full"), ("sd", 1.0, "light"), ("sdxl", 5.0, "full_xl")]
)
def test_both_pipelines_agree(
    engine: Engine, peers: Peers, tmp_path: Path, family: str, guidance: float, kind: str
) -> None:
    if family == "sd":
        model = attending_first(write_stable_diffusion(tmp_path / family))
    else:
        model = write_stable_diffusion_xl(tmp_path / family)
    # SDXL's first block has halved its features where the adapter's are added
    factor = 4 if family == "sd" else 8
    settings: dict[str, Any] = {
        "adapter_type": "full_adapter_xl" if kind == "full_xl" else f"{kind}_adapter",
        "downscale_factor": factor,
    }
    adapter = write_t2i_adapter(tmp_path / "adapter", model, **settings)
    picture = tmp_path / "shown.png"
    outlines(4).save(picture)
    asked = ControlRequest(model=str(adapter), picture=str(picture), weight=0.7)
    chosen = {"steps": STEPS, "guidance": guidance, **SCHEDULERS["euler"], "controls": (asked,)}
    mine = both_pipelines.ours(engine, model, (PROMPT,), draw(), **chosen)
    network = diffusers.T2IAdapter.from_pretrained(adapter, local_files_only=True)
    peer = both_pipelines.theirs(
        peers(model, PIPELINES[family], "euler", adapter=network),
        (PROMPT,),
        image=outlines(4),
        generator=seeded(),
        num_inference_steps=STEPS,
        guidance_scale=guidance,
        adapter_conditioning_scale=0.7,
        height=64,
        width=64,
    )
    assert first_difference(mine, peer) == ""
    if guidance == 1.0:
        assert float((mine.latents[0] - peer.latents[0]).abs().max()) < UNGUIDED
