"""Drawing with a scheduler that holds the loop, against the same one that does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.toy import PLUGIN
from torch import Tensor

from latentry import Engine, GenerationRequest, PluginHost, ProgressEvent

RECORDS = """
from latentry import SchedulerSpec, hookimpl

@hookimpl
def latentry_schedulers():
    for name, target in (("loop", "Loop"), ("steps", "First")):
        yield SchedulerSpec(name=name, target=f"support.toys:{target}", summary="For a test.")
"""


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    (tmp_path / "both.py").write_text(RECORDS)
    return Engine(PluginHost(load=("latentry",), plugin_dirs=[PLUGIN, tmp_path / "both.py"], strict=True))


def _image(seed: int) -> Image.Image:
    levels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    return Image.fromarray(levels)


def _mask() -> Image.Image:
    levels = np.zeros((32, 32), dtype=np.uint8)
    levels[:, :16] = 255
    return Image.fromarray(levels)


def _drawn(engine: Engine, model: str, scheduler: str, **given: Any) -> tuple[Tensor, list[int]]:
    fields = {name: given.pop(name) for name in ("strength", "count", "batch") if name in given}
    request = GenerationRequest(prompt="a", model=model, seed=5, steps=10, final="zero", scheduler=scheduler, **fields)
    done: list[int] = []

    def listen(event: ProgressEvent) -> None:
        if event.stage == "sample":
            done.append(event.done)

    return engine.generate(request, progress=listen, **given).latents, done


@pytest.mark.parametrize("task", ["text to image", "image to image", "a batch"])
def test_a_loop_draws_what_the_steps_draw_with_the_same_progress(engine: Engine, model: str, task: str) -> None:
    given: dict[str, Any] = {
        "text to image": {},
        "image to image": {"init_image": _image(1), "strength": 0.5},
        "a batch": {"count": 3, "batch": 2},
    }[task]
    latents, done = _drawn(engine, model, "loop", **given)
    expected, expected_done = _drawn(engine, model, "steps", **given)
    assert torch.equal(latents, expected)
    assert done == expected_done


@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_inpainting_keeps_what_is_not_drawn_in_what_the_loop_is_answered(
    engine: Engine, model: str, strength: float
) -> None:
    given = {"init_image": _image(1), "mask": _mask(), "strength": strength}
    latents, _ = _drawn(engine, model, "loop", **given)
    expected, _ = _drawn(engine, model, "steps", **given)
    drawn = slice(0, 2)  # columns of the latents that the mask gives to the network
    kept = torch.ones(4, dtype=torch.bool)
    kept[drawn] = False
    assert torch.allclose(latents[..., kept], expected[..., kept], atol=1e-6)
    other, _ = _drawn(engine, model, "loop", **{**given, "init_image": _image(2)})
    assert (latents[..., kept] - other[..., kept]).abs().max() > 0.1


def test_a_cancelled_generation_closes_the_loop(engine: Engine, model: str) -> None:
    class Stop(Exception):
        pass

    runs = []

    def stop(event: ProgressEvent) -> None:
        if event.run is not None:
            runs.append(event.run)
            if event.done == 3:
                raise Stop

    request = GenerationRequest(prompt="a", model=model, seed=5, steps=10, scheduler="loop")
    with pytest.raises(Stop):
        engine.generate(request, progress=stop)
    assert not runs[-1].done
    assert runs[-1].query is None
