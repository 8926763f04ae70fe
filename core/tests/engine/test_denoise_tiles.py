"""Samples that go through the network in overlapping parts, at every evaluation of any scheduler."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.toy import write_toy
from torch import Tensor

from latentry import Engine, GenerationRequest, IncompatibleError, NotAllowed, OptionError, PluginHost, Policy, Recipe
from latentry._guidance._tiles import Tiles
from latentry.models import PromptSettings


def request(model: str, **wanted: Any) -> GenerationRequest:
    about = {"prompt": "a", "model": model, "seed": 5, "steps": 4, "scheduler": "first", "width": 80, "height": 48}
    return GenerationRequest(**(about | wanted))


def layouts() -> list[Tiles]:
    draw = random.Random(7)
    found = []
    for _ in range(12):
        whole = draw.randint(2, 40), draw.randint(2, 40)
        part = draw.randint(1, whole[0]), draw.randint(1, whole[1])
        found.append(Tiles((8 * part[1], 8 * part[0]), whole, part, draw.randrange(min(part))))
    return found


@pytest.mark.parametrize("tiles", layouts(), ids=str)
def test_the_output_is_the_weighted_mean_of_the_parts(tiles: Tiles) -> None:
    """Pixel by pixel in float64, with the parts that the network was called for; their places from their content."""
    height, width = tiles.whole
    x = torch.arange(2 * 3 * height * width, dtype=torch.float64).reshape(2, 3, height, width)
    answers: dict[tuple[int, int], np.ndarray] = {}

    def network(part: Tensor) -> Tensor:
        assert part.shape == (2, 3, *tiles.part)
        output = torch.sin(part + part.mean() / 7)
        answers[divmod(int(part[0, 0, 0, 0]), width)] = output.numpy()
        return output

    found = tiles(x, network).numpy()
    above, below = np.zeros((2, 3, height, width)), np.zeros((height, width))
    down, across = (np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2 for side in tiles.part)
    for (top, left), output in answers.items():
        for i, j in np.ndindex(tiles.part):
            above[..., top + i, left + j] += down[i] * across[j] * output[..., i, j]
            below[top + i, left + j] += down[i] * across[j]
    np.testing.assert_allclose(found, above / below, rtol=1e-12, atol=1e-12)
    assert len(answers) == len(tiles)


@pytest.mark.parametrize("tiles", layouts(), ids=str)
def test_parts_reach_from_edge_to_edge_and_share_what_was_asked(tiles: Tiles) -> None:
    for side, places in enumerate(tiles._places):
        assert (places[0], places[-1] + tiles.part[side]) == (0, tiles.whole[side])
        assert all(0 < after - before <= tiles.part[side] - tiles.overlap for before, after in pairwise(places))


@pytest.mark.parametrize("scheduler", ["first", "noisy", "two-stage", "halving", "greedy"])
def test_a_network_that_sees_single_pixels_draws_the_same(engine: Engine, model: str, scheduler: str) -> None:
    whole = engine.generate(request(model, scheduler=scheduler))
    parts = engine.generate(request(model, scheduler=scheduler, denoise_tile=32))
    torch.testing.assert_close(parts.latents, whole.latents, rtol=1e-4, atol=1e-4)
    assert parts.evaluations == whole.evaluations
    assert parts.images[0].size == (80, 48)


def test_the_network_is_shown_parts_and_told_their_size(engine: Engine, model: str) -> None:
    """Parts of 32 pixels that share 8 or more, on 80 by 48: 3 by 2 of them."""
    network: Any = engine.load(engine.prepare(request(model)))
    shapes, told = list[tuple[int, ...]](), set[PromptSettings]()
    predict, encode = network.predict, network.encode_prompt
    network.predict = lambda x, *rest, **named: shapes.append(tuple(x.shape)) or predict(x, *rest, **named)
    network.encode_prompt = lambda prompts, settings: told.add(settings) or encode(prompts, settings)
    engine.generate(request(model, denoise_tile=32, guidance=2.0, count=2))
    assert shapes == [(4, 4, 4, 4)] * (6 * 4)
    assert {(settings.width, settings.height) for settings in told} == {(32, 32)}


def test_a_recipe_holds_tiles_and_overlap(host: PluginHost, model: str) -> None:
    result = Engine(host).generate(request(model, denoise_tile=32, count=2))
    recipe = Recipe.model_validate_json(result.recipes[1].model_dump_json())
    assert (recipe.request.denoise_tile, recipe.request.denoise_overlap) == (32, 8)
    assert Engine(host).reproduce(recipe).images[0].tobytes() == result.images[1].tobytes()


def test_the_larger_pass_alone_may_need_them(host: PluginHost, model: str) -> None:
    wanted = request(model, width=32, height=32, upscale=2.0, denoise_tile=32)
    setup = Engine(host).prepare(wanted)
    assert setup.larger is not None
    assert (setup.tiles, len(setup.larger.tiles or ())) == (None, 9)
    result = Engine(host).generate(wanted)
    assert result.recipes[0].request.denoise_overlap == 8
    assert Engine(host).reproduce(result.recipes[0]).images[0].tobytes() == result.images[0].tobytes()


def test_a_side_that_is_not_cut_may_be_as_short_as_the_overlap(host: PluginHost, model: str) -> None:
    """Tiles of 64 by 16 pixels that share a quarter of 64, side by side on 128 by 16."""
    wanted = request(model, width=128, height=16, denoise_tile=64)
    result, whole = Engine(host).generate(wanted), Engine(host).generate(request(model, width=128, height=16))
    assert result.recipes[0].request.denoise_overlap == 16
    assert len(Engine(host).prepare(wanted).tiles or ()) == 3
    torch.testing.assert_close(result.latents, whole.latents, rtol=1e-4, atol=1e-4)
    assert Engine(host).reproduce(result.recipes[0]).images[0].tobytes() == result.images[0].tobytes()


def test_time_shifts_are_those_of_what_the_network_is_shown(engine: Engine, tmp_path: Path) -> None:
    model = str(write_toy(tmp_path / "flow", kind="flow"))
    checkpoint = type(engine.prepare(request(model)).checkpoint)
    original = checkpoint.shift
    checkpoint.shift = lambda self, width, height: width / 16  # type: ignore[method-assign]
    try:
        fitting = engine.prepare(request(model, width=32, height=32)).plan
        assert engine.prepare(request(model, denoise_tile=32)).plan == fitting
        assert engine.prepare(request(model)).plan != fitting
    finally:
        checkpoint.shift = original  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("wanted", "field", "says"),
    [
        ({"denoise_tile": 80}, "denoise_tile", "no effect"),
        ({"denoise_tile": 20}, "denoise_tile", "cannot draw 20×20"),
        ({"denoise_tile": 32, "denoise_overlap": 32}, "denoise_overlap", "cannot share 32"),
        ({"denoise_overlap": 8}, "denoise_overlap", "no effect"),
        ({"denoise_tile": 160, "upscale": 2.0}, "denoise_tile", "no effect"),
    ],
)
def test_what_cannot_be_is_refused(engine: Engine, model: str, wanted: dict[str, Any], field: str, says: str) -> None:
    with pytest.raises(OptionError, match=says) as caught:
        engine.prepare(request(model, **wanted))
    assert caught.value.field == field


def test_pictures_beside_the_canvas_cannot_be_cut(engine: Engine, tmp_path: Path) -> None:
    picture, mask = Image.new("RGB", (80, 48)), Image.new("L", (80, 48), 255)
    picture.save(tmp_path / "a.png")
    model = str(write_toy(tmp_path / "model", variants=["painter", "shown", "small"]))
    for variant, given, more in (
        ("painter", {"init_image": picture, "mask": mask}, {}),
        ("shown", {}, {"references": (str(tmp_path / "a.png"),)}),
    ):
        with pytest.raises(IncompatibleError, match="in tiles"):
            engine.prepare(request(model, variant=variant, denoise_tile=32, **more), **given)
    # a network that is not shown the mask is blended with the picture whatever it is shown
    engine.prepare(request(model, variant="small", denoise_tile=32), init_image=picture, mask=mask)


def test_a_policy_counts_every_part(host: PluginHost, model: str) -> None:
    engine = Engine(host, policy=Policy(roots=(Path(model),), evaluations=20))
    engine.prepare(request(model))
    with pytest.raises(NotAllowed) as caught:
        engine.prepare(request(model, denoise_tile=32))
    assert caught.value.field == "denoise_tile"
