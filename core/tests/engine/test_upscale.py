"""A picture drawn, enlarged and drawn on again, in one request and one recipe."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import pytest
import torch
from PIL import Image
from support.toy import write_toy
from torch import Tensor
from torch.nn.functional import interpolate

from latentry import (
    Engine,
    GenerationRequest,
    IncompatibleError,
    Job,
    KeyedNoise,
    NotAllowed,
    OptionError,
    PluginHost,
    Policy,
    ProgressEvent,
    Recipe,
)
from latentry._request._changed import changed_fields

SCHEDULERS = ("first", "noisy", "two-stage", "halving", "greedy")


def request(model: str, **wanted: Any) -> GenerationRequest:
    about = {"prompt": "a", "model": model, "seed": 5, "steps": 6, "scheduler": "first", "upscale": 2.0}
    return GenerationRequest(**(about | wanted))


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_one_request_is_two_made_by_hand(engine: Engine, model: str, scheduler: str) -> None:
    wanted = request(model, scheduler=scheduler, upscale_strength=0.4)
    found = engine.generate(wanted)
    alone: dict[str, Any] = {"upscale": None, "upscale_strength": 0.5}
    small = engine.generate(wanted.model_copy(update=alone))
    by_hand = wanted.model_copy(update=alone | {"width": 64, "height": 64, "strength": 0.4})
    large = engine.generate(by_hand, init_image=small.images[0])
    assert found.images[0].size == (64, 64)
    assert torch.equal(found.latents, large.latents)
    assert found.images[0].tobytes() == large.images[0].tobytes()
    assert found.evaluations == small.evaluations + large.evaluations


def test_latents_are_enlarged_without_the_autoencoder(engine: Engine, model: str) -> None:
    seen: list[Tensor] = []

    def listen(event: ProgressEvent) -> None:
        if event.stage == "sample" and event.run is not None and event.run.index == 0:
            seen.append(event.run.sample.clone())

    wanted = request(model, upscale_mode="latent", count=2)
    small = engine.generate(wanted.model_copy(update={"upscale": None, "upscale_mode": "pixels"})).latents
    engine.generate(wanted, progress=listen)
    setup = engine.prepare(wanted)
    assert setup.larger is not None
    first = setup.larger.plan.points[0]
    noise = KeyedNoise(5, [0, 1]).initial(torch.empty(2, 4, 8, 8))
    enlarged = interpolate(small, (8, 8), mode="bicubic")
    torch.testing.assert_close(seen[1], first.alpha * enlarged + first.sigma * noise)


@pytest.mark.parametrize(
    "how", [{}, {"steps": None, "scheduler": "halving"}, {"upscale_steps": 9}, {"sigmas": "karras"}]
)
def test_the_recipe_holds_both_passes(host: PluginHost, model: str, how: dict[str, Any]) -> None:
    batch = {} if "scheduler" in how else {"batch": 2}
    result = Engine(host).generate(request(model, count=3, **batch, **how))
    for index in (0, 2):
        again = Engine(host).reproduce(Recipe.model_validate_json(result.recipes[index].model_dump_json()))
        assert again.images[0].tobytes() == result.images[index].tobytes()
        assert again.recipes[0] == result.recipes[index]


def test_a_time_shift_and_what_prompts_are_told_follow_one_rule(engine: Engine, tmp_path: Path) -> None:
    """The levels are those of the first size; a network that is told the size is told the larger one."""
    model = str(write_toy(tmp_path / "shifted", kind="flow", shift=3.0))
    setup = engine.prepare(request(model, upscale_strength=0.5))
    assert setup.larger is not None
    assert setup.larger.plan.points == setup.plan.points[3:]
    network: Any = engine.load(setup)
    network.encoded.clear()
    engine.generate(request(model))
    assert {(settings.width, settings.height) for _, settings in network.encoded} == {(32, 32), (64, 64)}


def test_progress_counts_both_passes(engine: Engine, model: str) -> None:
    told: list[ProgressEvent] = []
    engine.generate(request(model, count=2, batch=1), progress=told.append)
    sampled = [event for event in told if event.stage == "sample"]
    assert [event.done for event in sampled] == [*range(7), *range(6, 10), *range(9, 16), *range(15, 19)]
    assert {event.total for event in sampled} == {18}
    assert (told[-1].done, told[-1].total) == (18, 18)


@pytest.mark.parametrize("at", [3, 8], ids=["in the first pass", "in the second"])
def test_a_job_that_was_paused_goes_on_to_the_same_bits(host: PluginHost, model: str, at: int) -> None:
    wanted = request(model, scheduler="noisy", count=2, batch=1)
    meant = Engine(host).generate(wanted)
    jobs, there = list[Job](), Event()

    def stop(event: ProgressEvent) -> None:
        if event.stage == "sample" and event.done == at:
            assert there.wait(60.0)
            jobs[0]._course.ask("pause")

    jobs.append(Engine(host).submit(wanted, progress=stop))
    there.set()
    result = Engine(host).resume(jobs[0].pause(60.0)).result(60.0)
    assert torch.equal(result.latents, meant.latents)
    assert result.evaluations == meant.evaluations


def test_sides_are_rounded_down_to_what_the_model_can_draw(engine: Engine, model: str) -> None:
    assert engine.generate(request(model, upscale=1.7)).images[0].size == (48, 48)
    note = "The enlarged picture has 48×48 pixels: 54×54 is rounded down to sides that the model can draw."
    others = engine.prepare(request(model, upscale=1.5)).notes
    assert engine.prepare(request(model, upscale=1.7)).notes == (*others, note)
    assert not any("rounded" in told for told in others)
    with pytest.raises(OptionError, match=r"1\.2 times 32×32 pixels rounds to the same size\.") as caught:
        engine.generate(request(model, upscale=1.2))
    assert caught.value.field == "upscale"


def test_it_goes_on_from_a_picture_too(engine: Engine, model: str) -> None:
    picture = Image.radial_gradient("L").resize((32, 32))
    wanted = request(model, strength=0.5)
    alone = wanted.model_copy(update={"upscale": None})
    small = engine.generate(alone, init_image=picture)
    large = engine.generate(alone.model_copy(update={"width": 64, "height": 64}), init_image=small.images[0])
    assert torch.equal(engine.generate(wanted, init_image=picture).latents, large.latents)


def test_what_cannot_be_enlarged_is_refused(engine: Engine, tmp_path: Path, model: str) -> None:
    drawer = str(write_toy(tmp_path / "drawer", variants=["drawer"]))
    with pytest.raises(IncompatibleError, match="at a larger size") as drawn:
        engine.prepare(request(drawer))
    assert drawn.value.field == "upscale"
    with pytest.raises(OptionError, match="leaves none of 6 steps") as caught:
        engine.prepare(request(model, upscale_strength=0.1))
    assert caught.value.field == "upscale_strength"
    with pytest.raises(OptionError, match="upscale_steps has no effect"):
        engine.prepare(request(model, upscale=None, upscale_steps=3))


def test_limits_are_those_of_the_larger_size(host: PluginHost, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(host, policy=Policy(roots=(Path(model),), pixels=48 * 48))
    engine.prepare(request(model, upscale=1.5))
    monkeypatch.setattr(Image, "new", None)  # no picture is made to find out how large it is
    with pytest.raises(NotAllowed) as caught:
        engine.prepare(request(model))
    assert caught.value.field == "upscale"


def test_other_steps_or_tiles_decide_anew_what_followed_from_them(engine: Engine, model: str) -> None:
    wanted = request(model, width=48, height=48, denoise_tile=32)
    (recipe,) = engine.generate(wanted).recipes
    assert (recipe.request.upscale_steps, recipe.request.denoise_overlap) == (6, 8)
    for given, anew in (({"steps": 9}, "upscale_steps"), ({"denoise_tile": 48}, "denoise_overlap")):
        fields = changed_fields(recipe, given)
        assert set(recipe.request.model_dump()) - set(fields) - {"plan"} == {anew}
    assert changed_fields(recipe, {"steps": 9, "upscale_steps": 3})["upscale_steps"] == 3
