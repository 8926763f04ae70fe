"""diffusers' modular pipelines: the shipped models, our Euler and theirs on one grid, and one of two evaluations."""

from __future__ import annotations

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
def test_a_modular_pipeline_takes_it_as_the_stock_scheduler(pipeline: Any, picture: Any, model: str) -> None:
    pipe = _modular(pipeline(model), BLOCKS[model])
    stock = pipe.scheduler
    ours, second = scheduler("euler", pipe, sigmas="stock"), "unipc"
    if model == "shapes-flux":
        second = "heun"
    else:
        with pytest.raises(IncompatibleError, match="guidance would end early"):
            scheduler("heun", pipe)
    made = scheduler(second, pipe)
    for given in ({}, {"image": picture, "strength": 0.6}):
        expected = _draw(pipe, model, stock, **given)
        got = _draw(pipe, model, ours, **given)
        assert torch.allclose(got, expected, atol=1e-3), (got - expected).abs().max()
        assert _draw(pipe, model, made, **given).isfinite().all()
