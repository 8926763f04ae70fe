"""Textual inversions through diffusers' own pipelines and through ours, from the same noise: 20 steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from safetensors.torch import save_file
from support import both_pipelines
from support.both_pipelines import SCHEDULERS, draw, seeded
from support.models import write_stable_diffusion
from support.models_sdxl import WIDTHS, write_stable_diffusion_xl

from latentry import EmbeddingRequest, Engine

pytestmark = pytest.mark.slow

STEPS, GUIDANCE = 20, 5.0
PROMPT = "a red <cat> left of a blue square"
WRITE: dict[str, Any] = {"sd": write_stable_diffusion, "sdxl": write_stable_diffusion_xl}
PIPELINES: dict[str, Any] = {"sd": diffusers.StableDiffusionPipeline, "sdxl": diffusers.StableDiffusionXLPipeline}


@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_both_pipelines_agree(engine: Engine, tmp_path: Path, family: str) -> None:
    """Two vectors for each text encoder, in the prompt and in the negative one."""
    model = WRITE[family](tmp_path / family)
    drawn = torch.Generator().manual_seed(11)
    names = {"sd": {"emb_params": 32}, "sdxl": dict(zip(("clip_l", "clip_g"), WIDTHS, strict=True))}[family]
    vectors = {name: torch.randn(2, width, generator=drawn) for name, width in names.items()}
    save_file(vectors, tmp_path / "cat.safetensors")
    asked = EmbeddingRequest(name="<cat>", path=str(tmp_path / "cat.safetensors"))
    chosen = {"steps": STEPS, "guidance": GUIDANCE, **SCHEDULERS["euler"], "attention": "sdpa", "negative": "a <cat>"}
    mine = both_pipelines.ours(engine, model, (PROMPT,), draw(), embeddings=(asked,), **chosen)
    plain = both_pipelines.ours(engine, model, (PROMPT,), draw(), **chosen)

    pipeline = PIPELINES[family].from_pretrained(model, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    name, options = both_pipelines.PEERS["euler"]
    pipeline.scheduler = getattr(diffusers, name).from_config(pipeline.scheduler.config, **options)
    for number, vector in enumerate(vectors.values()):
        end = f"_{number + 1}" if number else ""
        encoder, tokenizer = getattr(pipeline, f"text_encoder{end}"), getattr(pipeline, f"tokenizer{end}")
        pipeline.load_textual_inversion({"<cat>": vector}, "<cat>", tokenizer=tokenizer, text_encoder=encoder)
    given = {"generator": seeded(), "num_inference_steps": STEPS, "guidance_scale": GUIDANCE, "height": 64, "width": 64}
    peer = both_pipelines.theirs(pipeline, (PROMPT,), negative_prompt=["a <cat>"], **given)

    def apart(a: Any, b: Any) -> float:
        return float((a.latents[0] - b.latents[0]).abs().max())

    assert apart(mine, peer) < 1e-3
    assert apart(plain, peer) > 0.05
