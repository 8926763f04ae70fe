"""diffusers' modular pipelines: the shipped models, our Euler and theirs on one grid, one of two evaluations, files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import diffusers.modular_pipelines
import pytest
import torch

from latentry import IncompatibleError
from latentry_bridge_diffusers import scheduler

BLOCKS = {
    "shapes-sdxl": "StableDiffusionXLAutoBlocks",
    "shapes-sd3": "StableDiffusion3AutoBlocks",
    "shapes-flux": "FluxAutoBlocks",
}


def _modular(base: Any, blocks: str) -> Any:
    made = getattr(diffusers.modular_pipelines, blocks)().init_pipeline()
    parts = {name: part for name, part in base.components.items() if name in made._component_specs and part is not None}
    made.update_components(**parts)
    made.set_progress_bar_config(disable=True)
    return made


def _draw(pipe: Any, model: str, made: Any, **given: Any) -> torch.Tensor:
    pipe.update_components(scheduler=made)
    given |= {"prompt": "a red circle", "num_inference_steps": 5, "height": 64, "width": 64, "output": "latents"}
    given |= {} if model == "shapes-sdxl" else {"max_sequence_length": 24}
    return pipe(**given, generator=torch.Generator().manual_seed(7))  # type: ignore[no-any-return]


@pytest.mark.slow
@pytest.mark.parametrize("model", BLOCKS)
def test_a_modular_pipeline_takes_it_as_the_stock_scheduler(pipeline: Any, picture: Any, mask: Any, model: str) -> None:
    pipe = _modular(pipeline(model), BLOCKS[model])
    stock = pipe.scheduler
    ours, second = scheduler("euler", pipe, sigmas="stock"), "unipc"
    if model == "shapes-flux":
        second = "heun"
    else:
        with pytest.raises(IncompatibleError, match="guidance would end early"):
            scheduler("heun", pipe)
    made = scheduler(second, pipe)
    late = {"image": picture, "strength": 0.6}
    masked = [{**late, "mask_image": mask}] if model == "shapes-sdxl" else []  # the blocks of SD3 and FLUX take no mask
    for given in ({}, late, *masked):
        expected = _draw(pipe, model, stock, **given)
        got = _draw(pipe, model, ours, **given)
        assert torch.allclose(got, expected, atol=1e-3), (got - expected).abs().max()
        assert _draw(pipe, model, made, **given).isfinite().all()


@pytest.mark.slow
def test_a_saved_modular_pipeline_draws_the_same_in_a_new_process(pipeline: Any, tmp_path: Path) -> None:
    model = "shapes-flux"
    pipe = _modular(pipeline(model), BLOCKS[model])
    expected = _draw(pipe, model, scheduler("unipc", pipe, order=3))
    pipe.save_pretrained(str(tmp_path / "saved"), overwrite_modular_index=True)
    script = f"""
import torch, latentry_bridge_diffusers
from diffusers import ModularPipeline
pipe = ModularPipeline.from_pretrained({str(tmp_path / "saved")!r})
pipe.load_components(torch_dtype=torch.float32)
assert pipe.scheduler.config["scheduler"] == "latentry-unipc:unipc"
x = pipe(prompt="a red circle", num_inference_steps=5, height=64, width=64, output="latents", max_sequence_length=24,
         generator=torch.Generator().manual_seed(7))
torch.save(x, {str(tmp_path / "x.pt")!r})
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert torch.equal(torch.load(tmp_path / "x.pt"), expected)
