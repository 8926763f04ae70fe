"""A run that a host drives itself has a recipe, from which the engine makes the same latents again."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
import torch
from PIL import Image
from support.toy import write_toy

from latentry import Engine, GenerationRequest, PluginHost, read_recipe


@pytest.mark.parametrize("kind", ["vp", "flow"])
@pytest.mark.parametrize("index", [0, 2])
def test_the_engine_draws_the_same_from_its_recipe(host: PluginHost, tmp_path: Path, kind: str, index: int) -> None:
    engine, model = Engine(host), str(write_toy(tmp_path / "model", kind=kind))
    request = GenerationRequest(prompt="a", model=model, scheduler="first", steps=5, seed=3, count=3, batch=1)
    setup = engine.prepare(request)
    with engine.network(setup) as network:
        run = setup.plan.start(network.noise([index]), seed=3)
        while (query := run.query) is not None:
            run.advance(network(query, [index]))
    recipe = setup.recipe(index)
    again = engine.reproduce(recipe)
    assert torch.equal(again.latents, run.sample)
    assert again.recipes == (recipe,)
    assert read_recipe(BytesIO(recipe.embed(Image.new("RGB", (8, 8))))) == recipe
