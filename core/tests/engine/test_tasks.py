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

from latentry import Engine, GenerationRequest, IncompatibleError, KeyedNoise, OptionError, PluginHost, ProgressEvent
from latentry._generate._images import to_pixels
from latentry._request._strength import StepCounts, count_steps

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
            with pytest.raises(OptionError, match=f"leaves none of {steps} steps"):
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


def test_an_inpainting_network_is_told_mask_and_picture_and_nothing_is_blended(
    host: PluginHost, tmp_path: Path
) -> None:
    engine, model = Engine(host), str(write_toy(tmp_path / "model", variants=["painter"]))
    wanted = request(model, count=2, guidance=2)
    loaded: Any = engine.load(engine.prepare(wanted, init_image=picture(), mask=left_half()))
    latents = engine.generate(wanted, init_image=picture(), mask=left_half()).latents
    assert set(loaded.told) == {("colour", "words", "mask", "masked")}
    assert not torch.allclose(latents[..., 2:], latents_of(picture())[..., 2:], atol=0.1)
    assert torch.equal(latents, engine.generate(wanted, init_image=picture(1 * 32), mask=left_half()).latents)


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a mask without a picture": ({}, {"mask": left_half()}, "without a picture"),
    "a mask of another size": (
        {},
        {"init_image": picture(), "mask": left_half(40)},
        "mask is 40×32, and the picture is 32×32",
    ),
    "a strength without a picture": ({"strength": 0.5}, {}, "without a picture to begin from"),
    "no step left": ({"strength": 0.05}, {"init_image": picture()}, "leaves none of 10 steps"),
    "a picture of an odd size": ({}, {"init_image": picture(30)}, "cannot draw 30×32"),
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
    assert "The picture was scaled from 48×40 to 64×32 pixels." in setup.notes
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
