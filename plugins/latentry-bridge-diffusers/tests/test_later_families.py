"""Families after FLUX: small random networks, our Euler and theirs on one grid; and what all pipelines ask for."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from PIL import Image
from support.models_flux2 import write_flux2
from support.models_qwen_image import write_qwen_image
from support.models_z_image import write_z_image

from latentry_bridge_diffusers import LatentryEtaScheduler, scheduler

FAMILIES: dict[str, tuple[Any, tuple[str, ...], dict[str, Any]]] = {
    "flux2": (write_flux2, ("Flux2KleinPipeline", "Flux2KleinInpaintPipeline"), {"guidance_scale": 1.0}),
    "qwen": (write_qwen_image, ("QwenImagePipeline", "QwenImageImg2ImgPipeline", "QwenImageInpaintPipeline"), {}),
    "z": (write_z_image, ("ZImagePipeline", "ZImageImg2ImgPipeline", "ZImageInpaintPipeline"), {"guidance_scale": 0.0}),
}
OTHER_LOOPS = {
    "step_correct, temperature and the like": {"diffusion_gemma", "llada2"},  # tokens
    "model_outputs": {"chronoedit"},  # inner state of UniPC
    "pred_original_sample": {"cosmos"},
    "prev_timestep": {"kandinsky", "kandinsky2_2"},  # the prior's: embeddings
    "per_token_timesteps": {"ltx", "sana_wm"},
    "variance_noise": {"ledits_pp"},
    "betas": {"stable_cascade"},
    "use_clipped_model_output": {"ddim"},
    "ori_start_sigmas": {"helios"},
}
"""Pipelines that ask a scheduler for more than the loops of ``docs/bridge-matrix.md``, by what they ask for."""

ATTRIBUTE, STEP = re.compile(r"self\.scheduler\.(\w+)"), re.compile(r"self\.scheduler\.step\(((?:[^()]|\([^()]*\))*)\)")


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_latents_of_later_families_are_the_stock_eulers(family: str, tmp_path: Path) -> None:
    write, classes, more = FAMILIES[family]
    base = diffusers.DiffusionPipeline.from_pretrained(write(tmp_path / family), local_files_only=True)
    stock = base.scheduler
    for cls in classes:
        pipe = getattr(diffusers, cls).from_pipe(base)
        pipe.set_progress_bar_config(disable=True)
        given = {"prompt": "a red circle", "height": 64, "width": 64, "num_inference_steps": 4, "output_type": "latent"}
        late = cls != classes[0]
        given |= {"image": Image.new("RGB", (64, 64), "green"), "strength": 0.6} if late else {}
        given |= {"mask_image": Image.new("L", (64, 64), 255)} if "Inpaint" in cls else {}
        drawn = []
        for made in (stock, scheduler("euler", stock, sigmas="stock"), scheduler("unipc", stock)):
            pipe.scheduler = made
            drawn.append(pipe(**given, **more, generator=torch.Generator().manual_seed(7)).images)
        assert torch.allclose(drawn[1], drawn[0], atol=1e-4), (cls, (drawn[1] - drawn[0]).abs().max())
        assert drawn[2].isfinite().all(), cls


@pytest.mark.skipif(diffusers.__version__ != "0.42.1", reason="the list is that of diffusers 0.42.1")
def test_what_pipelines_ask_of_a_scheduler_is_here() -> None:
    """Read from their code: attributes of ``self.scheduler``, and names of the arguments of its ``step``."""
    made = scheduler("euler", FlowMatchEulerDiscreteScheduler())
    made.set_timesteps(4)
    accepted = inspect.signature(LatentryEtaScheduler.step).parameters
    folder, asked = Path(diffusers.__file__).parent / "pipelines", defaultdict(set)
    for file in folder.rglob("pipeline_*.py"):
        family = file.relative_to(folder).parts[0]
        code = file.read_text(encoding="utf-8")
        asked[family] |= {name for name in ATTRIBUTE.findall(code) if not hasattr(made, name)}
        named = {name for call in STEP.findall(code) for name in re.findall(r"(\w+)=(?!=)", call)}
        asked[family] |= named - accepted.keys()
    more = {family for family, names in asked.items() if names} - {"deprecated"}
    assert more == set().union(*OTHER_LOOPS.values())
