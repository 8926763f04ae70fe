"""A ControlNet draws the same under offload, through attention backends, in batches and beside other requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any, Literal

import pytest
from PIL import Image, ImageDraw

from latentry import (
    ControlRequest,
    Engine,
    GenerationRequest,
    GenerationResult,
    MemoryPolicy,
    OptionError,
    PluginHost,
    ProgressEvent,
    Recipe,
    RecipeDiffers,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def outline(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A circle on the left."""
    picture = Image.new("RGB", (64, 64))
    ImageDraw.Draw(picture).ellipse((8, 18, 36, 46), outline="white", width=2)
    path = tmp_path_factory.mktemp("outline") / "outline.png"
    picture.save(path)
    return str(path)


def asked(outline: str | None, mask: str | None = None, **settings: Any) -> GenerationRequest:
    controls = (ControlRequest(model="shapes-control", picture=outline, mask=mask),) if outline else ()
    chosen = {"prompt": "a red circle", "model": "shapes", "steps": 3, "seed": 3, "device": "cpu", "dtype": "float32"}
    return GenerationRequest(**{**chosen, "controls": controls, **settings})


def apart(one: GenerationResult, other: GenerationResult) -> float:
    return float((one.latents - other.latents).abs().max())


@pytest.mark.parametrize("offload", ["model", "blocks"])
def test_offload_changes_nothing(outline: str, offload: Literal["model", "blocks"]) -> None:
    host = PluginHost()
    plain = Engine(host).generate(asked(outline))
    moved = Engine(host, MemoryPolicy(offload=offload)).generate(asked(outline))
    assert apart(moved, plain) == 0.0


def test_backends_and_batches(outline: str) -> None:
    engine = Engine(PluginHost())
    plain = engine.generate(asked(outline, attention="native"))
    assert apart(engine.generate(asked(outline, attention="sdpa")), plain) < 1e-4
    two = engine.generate(asked(outline, attention="native", prompt=("a red circle", "a blue ring")))
    assert float((two.latents[:1] - plain.latents).abs().max()) < 1e-4
    assert apart(engine.generate(asked(None, attention="native")), plain) > 0.1


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Paths of masks."""
    folder = tmp_path_factory.mktemp("masks")
    found = {name: Image.new("L", (64, 64), 255 * (name == "white")) for name in ("white", "left", "black")}
    ImageDraw.Draw(found["left"]).rectangle((0, 0, 31, 63), fill=255)
    for name, mask in found.items():
        mask.save(folder / f"{name}.png")
    return {name: str(folder / f"{name}.png") for name in found}


def test_masks(outline: str, masks: dict[str, str]) -> None:
    """White everywhere is as none; a recipe draws the picture again, and refuses another mask."""
    engine = Engine(PluginHost())
    plain, free = engine.generate(asked(outline)), engine.generate(asked(None))
    whole = engine.generate(asked(outline, masks["white"]))
    assert apart(whole, plain) == 0.0
    left = engine.generate(asked(outline, masks["left"]))
    assert min(apart(left, plain), apart(left, free)) > 0.1
    both = engine.generate(asked(outline, masks["left"], prompt=("a red circle", "a blue ring")))
    assert float((both.latents[:1] - left.latents).abs().max()) < 1e-4
    (recipe,) = left.recipes
    assert [len(sums) for sums in recipe.controls] == [3]
    again = engine.reproduce(Recipe.model_validate_json(recipe.model_dump_json()))
    assert apart(again, left) == 0.0
    changed = recipe.request.controls[0].model_copy(update={"mask": masks["white"]})
    other = recipe.model_copy(update={"request": recipe.request.model_copy(update={"controls": (changed,)})})
    with pytest.raises(RecipeDiffers, match=r"white\.png"):
        engine.reproduce(other)
    with pytest.raises(OptionError, match="black everywhere"):
        engine.prepare(asked(outline, masks["black"]))
    with pytest.raises(OptionError, match="no file"):
        engine.prepare(asked(outline, "nowhere.png"))


@pytest.mark.parametrize(
    ("size", "white", "left"),
    [
        ((400, 64), (0, 0, 40, 63), False),  # cropped off
        ((400, 64), (0, 0, 200, 63), True),
        ((640, 640), (100, 0, 100, 639), False),  # of every ten columns one is taken
        ((640, 640), (100, 0, 109, 639), True),
    ],
)
def test_a_mask_of_which_fitting_leaves_nothing_is_refused(
    outline: str, tmp_path: Path, size: tuple[int, int], white: tuple[int, int, int, int], left: bool
) -> None:
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rectangle(white, fill=255)
    mask.save(tmp_path / "part.png")
    wanted, engine = asked(outline, str(tmp_path / "part.png")), Engine(PluginHost())
    if not left:
        with pytest.raises(OptionError, match=r"part\.png is black everywhere at 64×64 pixels"):
            engine.prepare(wanted)
        return
    (control,) = engine.prepare(wanted).controls
    assert control.mask is not None
    assert control.mask.getextrema() == (0, 255)


def test_beside_a_request_without_a_control(outline: str) -> None:
    engine = Engine(PluginHost())
    alone = [engine.generate(asked(each)) for each in (outline, None)]
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda each: engine.submit(asked(each)).result(), (outline, None)))
    for one, other in zip(both, alone, strict=True):
        assert apart(one, other) < 1e-4


@pytest.mark.parametrize("meeting", [True, False], ids=["at the same time", "in turn"])
def test_a_mask_is_that_of_its_own_request(outline: str, masks: dict[str, str], meeting: bool) -> None:
    """Beside one without a mask and one without a control it draws what it draws alone, and so do they."""
    engine = Engine(PluginHost())
    wanted = [asked(outline, masks["left"]), asked(outline), asked(None, prompt="a blue ring", seed=5)]
    alone = [Engine(engine.host).generate(each) for each in wanted]
    barrier = Barrier(len(wanted))

    def meet(event: ProgressEvent) -> None:
        if meeting and event.stage == "encode" and event.done == 0:
            barrier.wait(120)

    jobs = [engine.submit(each, progress=meet) for each in wanted]
    for job, other in zip(jobs, alone, strict=True):
        assert apart(job.result(120), other) < 1e-4
    assert apart(alone[0], alone[1]) > 0.1
