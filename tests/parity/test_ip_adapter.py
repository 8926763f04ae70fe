"""IP-Adapters through diffusers' own pipelines and through ours, from the same noise: 20 steps on tiny networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import pytest
from support import both_pipelines
from support.both_pipelines import PEERS, SCHEDULERS, draw, drawing, seeded
from support.controlnets import write_ip_adapter
from support.models import PROMPT, write_stable_diffusion
from support.models_sdxl import write_stable_diffusion_xl
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from latentry import ControlRequest, Engine

pytestmark = pytest.mark.slow

STEPS = 20
GUIDED, UNGUIDED = 1e-3, 1e-4
PIPELINES: dict[str, Any] = {"sd": diffusers.StableDiffusionPipeline, "sdxl": diffusers.StableDiffusionXLPipeline}


@pytest.mark.parametrize(("family", "guidance"), [("sd", 1.0), ("sd", 5.0), ("sdxl", 5.0)])
def test_both_pipelines_agree(engine: Engine, tmp_path: Path, family: str, guidance: float) -> None:
    model = {"sd": write_stable_diffusion, "sdxl": write_stable_diffusion_xl}[family](tmp_path / family)
    adapter, picture = write_ip_adapter(tmp_path / "adapter", model), drawing()[0]
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

    def apart(a: Any, b: Any) -> float:
        return float((a.latents[0] - b.latents[0]).abs().max())

    assert apart(mine, peer) < (UNGUIDED if guidance == 1.0 else GUIDED)
    assert apart(plain, peer) > 0.1
