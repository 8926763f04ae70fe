"""Drawing from a picture, and a part of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.toy import write_toy
from torch import Tensor

from latentry import (
    Engine,
    GenerationRequest,
    GenerationResult,
    IncompatibleError,
    KeyedNoise,
    OptionError,
    PluginHost,
    ProgressEvent,
    Recipe,
    RecipeError,
)
from latentry._generate._batch._images import to_pixels
from latentry._request._values._strength import StepCounts, count_steps

SIZE = (32, 32)


def picture(width: int = 32, height: int = 32, seed: int = 0) -> Image.Image:
    levels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(levels)


def left_half(width: int = 32, height: int = 32) -> Image.Image:
    """White, so that it is drawn anew."""
    levels = np.zeros((height, width), dtype=np.uint8)
    levels[:, : width // 2] = 255
    return Image.fromarray(levels)


def request(model: str, **wanted: Any) -> GenerationRequest:
    return GenerationRequest(**({"prompt": "a", "model": model, "seed": 5, "steps": 10, "final": "zero"} | wanted))


def samples(engine: Engine, wanted: GenerationRequest, **given: Any) -> tuple[list[Tensor], Tensor]:
    """The sample before each step and after the last, and the latents."""
    seen: list[Tensor] = []

    def listen(event: ProgressEvent) -> None:
        if event.run is not None:
            seen.append(event.run.sample.clone())

    latents = engine.generate(wanted, progress=listen, **given).latents
    return seen, latents


def latents_of(image: Image.Image) -> Tensor:
    """What the toy encodes it as."""
    colours = to_pixels([image])[..., ::8, ::8]
    return torch.cat([colours, colours.mean(1, keepdim=True)], 1)


@pytest.mark.parametrize("hundredths", range(1, 101))
def test_steps_are_counted_with_the_strength_as_it_was_typed(hundredths: int) -> None:
    """All strengths of two decimals, against whole numbers: floor(N·h/100) and floor(100·N/h)."""
    strength = float(f"0.{hundredths:02d}" if hundredths < 100 else "1.0")
    for steps in range(1, 151):
        taken = steps * hundredths // 100
        if taken == 0:
            with pytest.raises(OptionError, match=f"leaves none of {steps} step"):
                count_steps(steps, strength, "cut")
        else:
            assert count_steps(steps, strength, "cut") == StepCounts(steps, steps - taken)
        laid_out = 100 * steps // hundredths
        assert count_steps(steps, strength, "full") == StepCounts(laid_out, laid_out - steps)


@pytest.mark.parametrize(
    ("steps", "strength", "taken"), [(50, 0.58, 29), (90, 0.7, 63), (100, 0.29, 29), (1000, 0.001, 1), (3, 1 / 3, 0)]
)
def test_known_step_counts(steps: int, strength: float, taken: int) -> None:
    """The first three lose a step where the double nearest to the strength is multiplied."""
    if taken == 0:  # 0.3333333333333333 is less than a third
        with pytest.raises(OptionError):
            count_steps(steps, strength, "cut")
    else:
        assert count_steps(steps, strength, "cut").laid_out - count_steps(steps, strength, "cut").left_out == taken


@pytest.mark.parametrize(("mode", "steps"), [("cut", 5), ("full", 10)])
def test_a_run_begins_with_the_noised_picture(engine: Engine, model: str, mode: str, steps: int) -> None:
    wanted, image = request(model, strength=0.5, strength_mode=mode), picture()
    setup = engine.prepare(wanted, init_image=image)
    assert len(setup.plan) == steps
    whole = engine.prepare(request(model, steps=10 if mode == "cut" else 20)).plan
    assert setup.plan.points == whole.points[-steps - 1 :]
    assert setup.plan.points[0].timestep == 499
    seen, _ = samples(engine, wanted, init_image=image)
    noise = KeyedNoise(5, (0,)).initial(torch.empty(1, 4, 4, 4))
    point = setup.plan.points[0]
    assert torch.allclose(seen[0], point.alpha * latents_of(image) + point.sigma * noise, atol=1e-6)


def test_the_weaker_the_nearer_to_the_picture(engine: Engine, model: str) -> None:
    known, apart = latents_of(picture()), []
    for strength in (0.1, 0.4, 0.7, 1.0):
        latents = engine.generate(request(model, strength=strength), init_image=picture()).latents
        apart.append(float((latents - known).square().mean()))
    assert apart == sorted(apart)
    assert apart[0] < 0.5 * apart[-1]


def test_every_picture_of_a_batch_begins_with_the_picture(engine: Engine, model: str) -> None:
    wanted, image = request(model, strength=0.1, count=3, batch=2), picture()
    many = engine.generate(wanted, init_image=image)
    assert many.latents.shape[0] == 3
    assert not torch.allclose(many.latents[0], many.latents[1], atol=1e-3)
    alone = engine.generate(wanted.model_copy(update={"count": 1}), init_image=image)
    assert torch.allclose(alone.latents[0], many.latents[0], atol=1e-5)


def test_the_picture_is_mixed_with_the_callers_noise(engine: Engine, model: str) -> None:
    wanted, image = request(model, strength=0.3), picture()
    seen, _ = samples(engine, wanted, init_image=image, latents=torch.zeros(1, 4, 4, 4))
    point = engine.prepare(wanted, init_image=image).plan.points[0]
    assert torch.allclose(seen[0], point.alpha * latents_of(image), atol=1e-6)


@pytest.mark.parametrize("scheduler", ["first", "two-stage", "noisy", "halving"])
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_blending_keeps_the_rest_of_the_picture(engine: Engine, model: str, scheduler: str, strength: float) -> None:
    image, wanted = picture(), request(model, scheduler=scheduler, strength=strength)
    seen, latents = samples(engine, wanted, init_image=image, mask=left_half())
    known = latents_of(image)
    assert torch.equal(latents[..., 2:], known[..., 2:])
    assert float((latents[..., :2] - known[..., :2]).abs().mean()) > 0.1
    plan = engine.prepare(wanted, init_image=image, mask=left_half()).plan
    noise = KeyedNoise(5, (0,)).initial(torch.empty(1, 4, 4, 4))
    for point, sample in zip(plan.points[1:-1], seen[1:-1], strict=True):
        assert torch.allclose(sample[..., 2:], point.mix(known, noise)[..., 2:], atol=1e-5)


def test_blending_ends_with_the_picture_itself_wherever_the_run_ends(engine: Engine, model: str) -> None:
    wanted = request(model, final="table")
    assert engine.prepare(wanted).plan.points[-1].sigma > 0.01
    latents = engine.generate(wanted, init_image=picture(), mask=left_half()).latents
    assert torch.equal(latents[..., 2:], latents_of(picture())[..., 2:])


def test_inpainting_at_full_strength_begins_with_noise_alone(engine: Engine, model: str) -> None:
    image, noise = picture(), KeyedNoise(5, (0,)).initial(torch.empty(1, 4, 4, 4))
    seen, _ = samples(engine, request(model), init_image=image, mask=left_half())
    assert torch.equal(seen[0], noise)
    assert engine.prepare(request(model), init_image=image, mask=left_half()).request.strength == 1.0
    whole, _ = samples(engine, request(model, strength=1.0), init_image=image)
    assert not torch.equal(whole[0], noise)


def test_the_white_part_of_the_mask_is_drawn_anew(engine: Engine, model: str) -> None:
    everything = Image.new("L", SIZE, 255)
    free = engine.generate(request(model)).latents
    painted = engine.generate(request(model), init_image=picture(), mask=everything).latents
    assert torch.allclose(painted, free, atol=1e-6)
    nothing = engine.generate(request(model), init_image=picture(), mask=Image.new("L", SIZE, 127)).latents
    assert torch.equal(nothing, latents_of(picture()))


def test_an_inpainting_network_gets_mask_and_picture_and_is_blended_too(host: PluginHost, tmp_path: Path) -> None:
    engine, model = Engine(host), str(write_toy(tmp_path / "model", variants=["painter"]))
    wanted = request(model, count=2, guidance=2)
    loaded: Any = engine.load(engine.prepare(wanted, init_image=picture(), mask=left_half()))
    latents = engine.generate(wanted, init_image=picture(), mask=left_half()).latents
    assert set(loaded.told) == {("colour", "words", "mask", "masked")}
    assert torch.equal(latents[..., 2:], latents_of(picture()).expand_as(latents)[..., 2:])


MASKS: dict[str, Image.Image] = {
    "half": left_half(),
    "nothing": Image.new("L", SIZE, 0),
    "everything": Image.new("L", SIZE, 255),
    "one pixel": Image.fromarray((np.arange(32 * 32).reshape(32, 32) == 300).astype(np.uint8) * 255),
    "noise": Image.fromarray(np.random.default_rng(4).integers(0, 256, (32, 32), dtype=np.uint8)),
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("variant", ["small", "painter", "finisher"])
@pytest.mark.parametrize(("strength", "mode"), [(1.0, "cut"), (0.6, "cut"), (0.6, "full")])
def test_kept_pixels_are_the_pictures_bit_for_bit(
    host: PluginHost, tmp_path: Path, variant: str, mask: str, strength: float, mode: str
) -> None:
    engine, model = Engine(host), str(write_toy(tmp_path / "model", variants=[variant]))
    wanted = request(model, steps=4, strength=strength, strength_mode=mode, count=2)
    keep = np.asarray(MASKS[mask]) < 128
    for image in engine.generate(wanted, init_image=picture(), mask=MASKS[mask]).images:
        found, original = np.asarray(image).astype(int), np.asarray(picture()).astype(int)
        assert np.array_equal(found[keep], original[keep])
        if (~keep).any():
            assert np.abs(found - original)[~keep].mean() > 5


@pytest.mark.parametrize("feather", [1, 4, 12])
def test_a_feathered_edge_lies_on_the_drawn_side(engine: Engine, model: str, feather: int) -> None:
    """Kept pixels do not change, and the drawing comes in gradually."""
    inputs = {"init_image": Image.new("RGB", SIZE, (0, 0, 0)), "mask": left_half()}
    hard, soft = (
        np.asarray(engine.generate(request(model, steps=3, mask_feather=width), **inputs).images[0]).astype(float)
        for width in (0, feather)
    )
    assert (soft[:, 16:] == 0).all()
    share = np.minimum(16 - np.arange(16), feather + 1) / (feather + 1)  # of the drawing, by column
    assert np.abs(soft - hard * np.pad(share, (0, 16))[None, :, None]).max() <= 1.5
    recipe = engine.generate(request(model, steps=3, mask_feather=feather), **inputs).recipes[0]
    assert recipe.request.mask_feather == feather


@pytest.mark.parametrize(("given", "fitted"), [((37, 45), (32, 40)), ((39, 32), (32, 32)), ((64, 40), (64, 40))])
def test_a_photograph_of_any_size_is_fitted(
    engine: Engine, model: str, given: tuple[int, int], fitted: tuple[int, int]
) -> None:
    result = engine.generate(request(model, steps=3), init_image=picture(*given), mask=left_half(*given))
    assert result.images[0].size == fitted
    told = f"from {given[0]}×{given[1]} to {fitted[0]}×{fitted[1]} pixels"
    assert any(told in note for note in result.notes) == (given != fitted)
    again = engine.reproduce(result.recipes[0], init_image=picture(*given), mask=left_half(*given))
    assert again.images[0].tobytes() == result.images[0].tobytes()


def test_proportions_are_kept(engine: Engine, model: str) -> None:
    """A circle stays a circle: what does not fit is cropped at both sides alike."""
    photograph = Image.new("RGB", (80, 40), (0, 0, 0))
    photograph.paste((255, 255, 255), (30, 10, 50, 30))
    seen = engine.prepare(request(model, width=32, height=32), init_image=photograph).inputs.image
    assert seen is not None
    box = seen.convert("L").point([255 if level > 127 else 0 for level in range(256)]).getbbox()
    assert box is not None
    assert (box[2] - box[0], box[3] - box[1]) == (16, 16)
    assert abs((box[0] + box[2]) / 2 - 16) <= 0.5


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a mask without a picture": ({}, {"mask": left_half()}, "without a picture"),
    "a mask of another size": (
        {},
        {"init_image": picture(), "mask": left_half(40)},
        "mask is 40×32, and the picture is 32×32",
    ),
    "a strength without a picture": ({"strength": 0.5}, {}, "without a picture to begin from"),
    "no step left": ({"strength": 0.05}, {"init_image": picture()}, "leaves none of 10 steps"),
    "a picture and an odd width": ({"width": 30}, {"init_image": picture()}, "cannot draw 30×32"),
    "a picture smaller than a step": ({}, {"init_image": picture(5)}, "cannot draw 5×32"),
    "levels stretched": (
        {"sigmas": (3.0, 1.0), "steps": None, "strength": 0.5, "strength_mode": "full"},
        {"init_image": picture()},
        "cannot be used with a list of levels",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_impossible_requests_are_refused_before_loading(host: PluginHost, tmp_path: Path, what: str) -> None:
    wanted, given, message = REFUSED[what]
    model = str(write_toy(tmp_path / "model", fails="loading"))
    with pytest.raises(OptionError) as caught:
        Engine(host).generate(request(model, **wanted), **given)
    assert message in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("variant", "given", "task"),
    [
        ("painter", (), "text-to-image"),
        ("painter", ("init_image",), "image-to-image"),
        ("finisher", (), "text-to-image"),
        ("drawer", ("init_image",), "image-to-image"),
        ("drawer", ("init_image", "mask"), "inpainting"),
    ],
)
def test_a_network_for_other_tasks_is_refused_before_loading(
    host: PluginHost, tmp_path: Path, variant: str, given: tuple[str, ...], task: str
) -> None:
    model = str(write_toy(tmp_path / "model", variants=[variant], fails="loading"))
    pictures = {"init_image": picture(), "mask": left_half()}
    with pytest.raises(IncompatibleError, match=f"{variant} cannot be used for {task}"):
        Engine(host).generate(request(model), **{name: pictures[name] for name in given})


def test_a_network_that_finishes_pictures_can_blend(host: PluginHost, tmp_path: Path) -> None:
    model = str(write_toy(tmp_path / "model", variants=["finisher"]))
    result = Engine(host).generate(request(model), init_image=picture(), mask=left_half())
    assert torch.equal(result.latents[..., 2:], latents_of(picture())[..., 2:])


def test_the_size_is_the_pictures_by_default(engine: Engine, model: str) -> None:
    assert engine.generate(request(model), init_image=picture(48, 40)).images[0].size == (48, 40)
    setup = engine.prepare(request(model, width=64, height=32), init_image=picture(48, 40), mask=left_half(48, 40))
    assert setup.inputs.image is not None
    assert setup.inputs.mask is not None
    assert setup.inputs.image.size == setup.inputs.mask.size == (64, 32)
    assert setup.inputs.mask.getcolors() == [(1024, 0), (1024, 255)]
    assert "The picture was scaled and cropped from 48×40 to 64×32 pixels." in setup.notes
    assert engine.generate(request(model)).images[0].size == SIZE


def test_a_list_of_levels_is_cut(engine: Engine, model: str) -> None:
    wanted = request(model, sigmas=(10.0, 3.0, 1.0, 0.3), steps=None, strength=0.5)
    plan = engine.prepare(wanted, init_image=picture()).plan
    assert [point.s for point in plan.points] == pytest.approx([1.0, 0.3, 0.0])


def test_the_default_strength_is_the_tasks(engine: Engine, model: str) -> None:
    assert engine.prepare(request(model), init_image=picture()).request.strength == 0.75
    assert engine.prepare(request(model), init_image=picture(), mask=left_half()).request.strength == 1.0
    assert engine.prepare(request(model)).request.strength is None


def test_progress_counts_the_steps_that_are_taken(engine: Engine, model: str) -> None:
    events: list[ProgressEvent] = []
    engine.generate(request(model, strength=0.3), init_image=picture(), progress=events.append)
    assert [event.stage for event in events] == ["load", "encode", "encode", *["sample"] * 4, "decode", "done"]
    assert (events[-1].done, events[-1].total) == (3, 3)


def old(result: GenerationResult, **recorded: Any) -> Recipe:
    """A recipe as the version before wrote it, without a revision."""
    recipe = result.recipes[0]
    text = recipe.model_copy(update={"request": recipe.request.model_copy(update=recorded)}).model_dump(mode="json")
    del text["revision"], text["request"]["mask_feather"]
    return Recipe.model_validate(text)


@pytest.mark.parametrize(
    ("wanted", "pictures", "reason"),
    [
        ({}, {"init_image": picture(), "mask": left_half()}, "put back after decoding"),
        ({"steps": 50, "strength": 0.58}, {"init_image": picture()}, "counted in decimals"),
        ({"width": 32, "height": 16}, {"init_image": picture()}, "cropped instead of stretched"),
    ],
)
def test_an_old_recipe_that_draws_differently_now_says_so(
    engine: Engine, model: str, wanted: dict[str, Any], pictures: dict[str, Any], reason: str
) -> None:
    result = engine.generate(request(model, **wanted), **pictures)
    with pytest.raises(RecipeError, match="draws another picture") as caught:
        engine.reproduce(old(result), **pictures)
    assert reason in caught.value.why
    assert engine.reproduce(old(result), **pictures, anyway=True).images
    assert engine.reproduce(result.recipes[0], **pictures).images[0].tobytes() == result.images[0].tobytes()


@pytest.mark.parametrize("wanted", [{}, {"strength": 0.5}, {"strength": 0.5, "strength_mode": "full"}])
def test_any_other_old_recipe_is_reproduced(engine: Engine, model: str, wanted: dict[str, Any]) -> None:
    pictures = {"init_image": picture()} if wanted else {}
    result = engine.generate(request(model, **wanted), **pictures)
    assert engine.reproduce(old(result), **pictures).images[0].tobytes() == result.images[0].tobytes()


def test_a_recipe_of_a_newer_revision_or_another_revision_of_a_plugin_is_refused(engine: Engine, model: str) -> None:
    recipe = engine.generate(request(model)).recipes[0]
    with pytest.raises(RecipeError, match="newer version of Latentry"):
        engine.reproduce(recipe.model_copy(update={"revision": 99}))
    used = recipe.plugins["scheduler"].model_copy(update={"revision": 99})
    with pytest.raises(RecipeError, match="draws differently here"):
        engine.reproduce(recipe.model_copy(update={"plugins": {**recipe.plugins, "scheduler": used}}))
