"""A ControlNet draws the same under offload, through attention backends, in batches and beside other requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import pytest
from PIL import Image, ImageDraw

from latentry import ControlRequest, Engine, GenerationRequest, GenerationResult, MemoryPolicy, PluginHost

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def outline(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A circle on the left."""
    picture = Image.new("RGB", (64, 64))
    ImageDraw.Draw(picture).ellipse((8, 18, 36, 46), outline="white", width=2)
    path = tmp_path_factory.mktemp("outline") / "outline.png"
    picture.save(path)
    return str(path)


def asked(outline: str | None, **settings: Any) -> GenerationRequest:
    controls = (ControlRequest(model="shapes-control", picture=outline),) if outline else ()
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


def test_beside_a_request_without_a_control(outline: str) -> None:
    engine = Engine(PluginHost())
    alone = [engine.generate(asked(each)) for each in (outline, None)]
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda each: engine.submit(asked(each)).result(), (outline, None)))
    for one, other in zip(both, alone, strict=True):
        assert apart(one, other) < 1e-4
