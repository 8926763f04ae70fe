"""``clip_skip`` is an option of the families that have CLIP, checked before weights load; old requests keep working."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.models import write_stable_diffusion

from latentry import Engine, GenerationRequest, OptionError, PluginHost, read_recipe

OLD = Path(__file__).parent / "data"
"""Written by the version in which ``clip_skip`` was a field of the request, on ``write_stable_diffusion``'s model."""


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(PluginHost())


@pytest.mark.parametrize("family", ["sd", "sdxl", "sd3"])
def test_the_most_that_is_accepted_is_the_most_that_the_encoders_can_do(
    engine: Engine, families: Mapping[str, Path], family: str
) -> None:
    def setup(skip: int) -> Any:
        return engine.prepare(
            GenerationRequest(prompt="a", model=str(families[family]), conditioning={"clip_skip": skip})
        )

    model, settings = engine.load(setup(0)), setup(0).prompt_settings(negative=False)
    most = 0
    while accepts(setup, most + 1):
        most += 1
    model.encode_prompt(["a"], replace(settings, own=settings.own.model_copy(update={"clip_skip": most})))
    with pytest.raises(OptionError, match="layers of this text encoder cannot be left out"):
        model.encode_prompt(["a"], replace(settings, own=settings.own.model_copy(update={"clip_skip": most + 1})))
    with pytest.raises(OptionError, match=f"At most {most} more"):
        setup(most + 1)


def accepts(setup: Any, skip: int) -> bool:
    try:
        setup(skip)
    except OptionError:
        return False
    return True


def test_flux_has_no_clip_skip(engine: Engine, families: Mapping[str, Path]) -> None:
    """It uses CLIP's pooled output alone, which no skipped layer changes."""
    old: dict[str, Any] = {"clip_skip": 1}
    with pytest.raises(OptionError, match="no conditioning options"):
        engine.prepare(GenerationRequest(prompt="a", model=str(families["flux"]), **old))


def test_the_refiner_is_checked_too(engine: Engine, families: Mapping[str, Path]) -> None:
    models = {"model": str(families["sdxl"]), "refiner": str(families["refiner"])}
    assert engine.prepare(GenerationRequest(prompt="a", **models)).request.conditioning["clip_skip"] == 0
    with pytest.raises(OptionError, match="clip_skip=40"):
        engine.prepare(GenerationRequest(prompt="a", **models, conditioning={"clip_skip": 40}))


def test_an_old_picture_and_an_old_request_give_the_same_pixels_as_then(engine: Engine, tmp_path: Path) -> None:
    model = str(write_stable_diffusion(tmp_path / "sd"))
    old = GenerationRequest.model_validate_json((OLD / "clip_skip_request.json").read_text())
    assert old.conditioning == {"clip_skip": 1}
    recipe = read_recipe(OLD / "clip_skip_picture.png")
    recipe = recipe.model_copy(update={"request": recipe.request.model_copy(update={"model": model})})
    with Image.open(OLD / "clip_skip_picture.png") as picture:
        then = np.asarray(picture).astype(int)
    # a request is laid out on its scheduler's grid of today, which is another for so few steps; the recipe names it
    grid = {name: getattr(recipe.request, name) for name in ("sigmas", "sigma_options", "final")}
    for result in (
        engine.generate(old.model_copy(update={"model": model, **grid})),
        engine.reproduce(recipe, anyway=True),  # plugin versions have moved on
    ):
        assert np.abs(np.asarray(result.images[0]) - then).max() <= 1  # the last bit depends on the machine
    plain = engine.generate(old.model_copy(update={"model": model, **grid, "conditioning": {}}))
    assert np.abs(np.asarray(plain.images[0]) - then).max() > 3
