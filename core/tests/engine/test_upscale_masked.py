"""A picture of which a mask keeps parts, enlarged in one request: what is kept is the picture's, enlarged."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from support.toy import write_toy

from latentry import Engine, GenerationRequest, Job, NotAllowed, PluginHost, Policy, ProgressEvent, Recipe

SCHEDULERS = ("first", "noisy", "two-stage", "halving", "greedy")
LANCZOS = Image.Resampling.LANCZOS


def request(model: str, **wanted: Any) -> GenerationRequest:
    about = {"prompt": "a", "model": model, "seed": 5, "steps": 6, "scheduler": "first", "upscale": 2.0}
    return GenerationRequest(**(about | wanted))


def photograph(width: int, height: int) -> Image.Image:
    draw = np.random.default_rng((width, height))
    return Image.fromarray(draw.integers(0, 256, (height, width, 3), dtype=np.uint8))


def disc(width: int, height: int) -> Image.Image:
    """White within a circle, whose edge goes through squares of 8 pixels."""
    y, x = np.ogrid[:height, :width]
    inside = (x / width - 0.4) ** 2 + (y / height - 0.5) ** 2 < 0.1
    return Image.fromarray(inside.astype(np.uint8) * 255)


def kept(mask: Image.Image) -> np.ndarray:
    return np.asarray(mask) < 128


@pytest.mark.parametrize("feather", [0, 3])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_one_request_is_two_made_by_hand(engine: Engine, model: str, scheduler: str, feather: int) -> None:
    picture, mask = photograph(32, 32), disc(32, 32)
    wanted = request(model, scheduler=scheduler, upscale_strength=0.4, mask_feather=feather)
    found = engine.generate(wanted, init_image=picture, mask=mask)
    alone: dict[str, Any] = {"upscale": None, "upscale_strength": 0.5}
    small = engine.generate(wanted.model_copy(update=alone), init_image=picture, mask=mask).images[0]
    outer, drawn = picture.resize((64, 64), LANCZOS), mask.resize((64, 64), Image.Resampling.NEAREST)
    begun = Image.composite(small.resize((64, 64), LANCZOS), outer, drawn)
    large = engine.generate(wanted.model_copy(update=alone | {"strength": 0.4}), init_image=begun, mask=drawn)
    assert torch.equal(found.latents, large.latents)
    edge = np.asarray(Image.composite(large.images[0], outer, drawn))[kept(drawn)]
    assert np.array_equal(np.asarray(found.images[0])[kept(drawn)], edge)
    if not feather:  # a soft edge shows a little of what each began from
        assert found.images[0].tobytes() == large.images[0].tobytes()


@pytest.mark.parametrize("mode", ["pixels", "latent"])
@pytest.mark.parametrize(
    ("given", "size", "factor", "final"),
    [
        ((64, 64), (32, 32), 2.0, (64, 64)),
        ((96, 64), (48, 32), 2.0, (96, 64)),
        ((32, 32), (32, 32), 2.0, (64, 64)),
        ((128, 128), (32, 32), 2.0, (64, 64)),
    ],
    ids=["as large as the result", "and wide", "smaller", "larger"],
)
def test_kept_pixels_are_those_of_the_picture_at_that_size(
    engine: Engine, model: str, mode: str, given: Any, size: Any, factor: float, final: Any
) -> None:
    """Of a picture as large as the result bit for bit: it does not go through the smaller size."""
    picture, mask = photograph(*given), disc(*given)
    wanted = request(model, width=size[0], height=size[1], upscale=factor, upscale_mode=mode, count=2)
    outer = ImageOps.fit(picture, final, LANCZOS) if given != final else picture
    keep = kept(ImageOps.fit(mask, final, Image.Resampling.NEAREST))
    first, second = engine.generate(wanted, init_image=picture, mask=mask).images
    for image in (first, second):
        assert image.size == final
        assert np.array_equal(np.asarray(image)[keep], np.asarray(outer)[keep])
    assert not np.array_equal(np.asarray(first)[~keep], np.asarray(second)[~keep])


def test_a_size_that_is_rounded_keeps_what_the_first_pass_shows(engine: Engine, model: str) -> None:
    """80 by 40 by 1.3 is 104 by 52, drawn as 104 by 48: cropped from what was drawn, not from the picture."""
    picture, mask = photograph(80, 40), disc(80, 40)
    image = engine.generate(request(model, upscale=1.3), init_image=picture, mask=mask).images[0]
    keep = kept(ImageOps.fit(mask, (104, 48), Image.Resampling.NEAREST))
    assert np.array_equal(np.asarray(image)[keep], np.asarray(ImageOps.fit(picture, (104, 48), LANCZOS))[keep])


def test_an_inpainting_network_is_shown_the_mask_at_both_sizes(host: PluginHost, tmp_path: Path) -> None:
    engine, model = Engine(host), str(write_toy(tmp_path / "model", variants=["painter"]))
    picture, mask, wanted = photograph(32, 32), disc(32, 32), request(model, guidance=2.0)
    network: Any = engine.load(engine.prepare(wanted, init_image=picture, mask=mask))
    shown, original = list[tuple[tuple[int, ...], float]](), network.inpainting

    def inpainting(pixels: torch.Tensor, mask: torch.Tensor) -> Any:
        shown.append((tuple(mask.shape), float(mask.mean())))
        return original(pixels, mask)

    network.inpainting = inpainting
    image = engine.generate(wanted, init_image=picture, mask=mask).images[0]
    assert [shape for shape, _ in shown] == [(1, 1, 32, 32), (1, 1, 64, 64)]
    assert shown[0][1] == shown[1][1] == (~kept(mask)).mean()
    keep = kept(mask.resize((64, 64), Image.Resampling.NEAREST))
    outer = np.asarray(picture.resize((64, 64), LANCZOS))
    assert np.array_equal(np.asarray(image)[keep], outer[keep])


def test_the_recipe_makes_it_again_from_the_files(host: PluginHost, tmp_path: Path, model: str) -> None:
    photograph(64, 64).save(tmp_path / "a.png")
    disc(64, 64).save(tmp_path / "mask.png")
    files = {"init_image": str(tmp_path / "a.png"), "mask": str(tmp_path / "mask.png")}
    result = Engine(host).generate(request(model, width=32, height=32, count=2, **files))
    recipe = Recipe.model_validate_json(result.recipes[1].model_dump_json())
    assert Engine(host).reproduce(recipe).images[0].tobytes() == result.images[1].tobytes()


def test_a_job_that_was_paused_in_the_second_pass_goes_on_to_the_same_bits(
    host: PluginHost, tmp_path: Path, model: str
) -> None:
    photograph(32, 32).save(tmp_path / "a.png")
    disc(32, 32).save(tmp_path / "mask.png")
    files = {"init_image": str(tmp_path / "a.png"), "mask": str(tmp_path / "mask.png")}
    wanted = request(model, scheduler="noisy", **files)
    meant = Engine(host).generate(wanted)
    jobs, there = list[Job](), Event()

    def stop(event: ProgressEvent) -> None:
        if event.stage == "sample" and event.done == 8:
            assert there.wait(60.0)
            jobs[0]._course.ask("pause")

    jobs.append(Engine(host).submit(wanted, progress=stop))
    there.set()
    result = Engine(host).resume(jobs[0].pause(60.0)).result(60.0)
    assert torch.equal(result.latents, meant.latents)
    assert result.images[0].tobytes() == meant.images[0].tobytes()


@pytest.mark.parametrize(("limit", "least"), [("evaluations", 9), ("steps", 9)])
def test_both_passes_count_together(host: PluginHost, model: str, limit: str, least: int) -> None:
    """6 steps, and half of 6 again."""
    wanted = request(model, upscale_strength=0.5)
    assert Engine(host).generate(wanted).evaluations == least
    Engine(host, policy=Policy(roots=(Path(model),), **{limit: least})).prepare(wanted)
    with pytest.raises(NotAllowed, match=r"9 .* more than the limit") as caught:
        Engine(host, policy=Policy(roots=(Path(model),), **{limit: least - 1})).prepare(wanted)
    assert caught.value.field == "upscale"


def test_parts_of_the_larger_pass_count_as_well(host: PluginHost, model: str) -> None:
    """6 evaluations of the whole, and 3 of nine parts of 32 pixels that share 8, on 64 by 64."""
    wanted = request(model, upscale_strength=0.5, denoise_tile=32)
    Engine(host, policy=Policy(roots=(Path(model),), evaluations=6 + 3 * 9)).prepare(wanted)
    with pytest.raises(NotAllowed) as caught:
        Engine(host, policy=Policy(roots=(Path(model),), evaluations=6 + 3 * 9 - 1)).prepare(wanted)
    assert caught.value.field == "upscale"


def test_all_steps_may_be_asked_for_in_the_second_pass_alone(engine: Engine, model: str) -> None:
    """The first takes all of them at strength 1 either way."""
    pictures = {"init_image": photograph(32, 32), "mask": disc(32, 32)}
    wanted = request(model, strength_mode="full", upscale_strength=0.5)
    assert engine.generate(wanted, **pictures).evaluations == 12
