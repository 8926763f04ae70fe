"""Pictures and requests of the version before the core was divided into rooms: drawn again, pixel for pixel.

``before_rooms`` holds, for every family, a request as that version wrote it and the pictures that it drew. They are not
made again when a test fails: then the code has changed pictures.

Edited since: a file's path in ``sd-image-to-image-lora.png`` is relative, and two requests no longer give options that
had no effect (``lora_mode`` without LoRAs, ``skip_layers`` at no step), which are refused today; the recipes still hold
them. Four requests say what was the default then: no guard, and its sigma schedule. The recipes are as they were.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from latentry import Engine, GenerationRequest, PluginHost, read_recipe

FOLDER = Path(__file__).parent / "before_rooms"
REQUESTS = sorted(path.stem for path in FOLDER.glob("*.json") if path.stem != "environment")
PICTURES = sorted(path.name for path in FOLDER.glob("*.png"))
OTHER_PROCESSOR = 1
"""In 1/255: another processor or another torch may add up in another order."""


def environment() -> dict[str, str]:
    """What the last bit of a picture depends on besides this code."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "machine": platform.machine(),
        "processor": names[0] if names else platform.processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        **{name: version(name) for name in ("torch", "diffusers", "transformers", "numpy")},
    }


SAME = environment() == json.loads((FOLDER / "environment.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def engine() -> Engine:
    """With everything that is installed."""
    return Engine(PluginHost())


@pytest.fixture(autouse=True)
def in_the_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The requests name their files by relative paths. One thread, as then."""
    monkeypatch.chdir(FOLDER)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def assert_same(mine: Image.Image, picture: str) -> None:
    """Every pixel, as far as the environment allows."""
    with Image.open(picture) as opened:
        then, now = np.asarray(opened.convert("RGB"), np.int16), np.asarray(mine.convert("RGB"), np.int16)
    assert then.shape == now.shape
    assert then.std() > 10  # there is something in it
    assert np.abs(then - now).max() <= (0 if SAME else OTHER_PROCESSOR)


def pictures(name: str) -> list[str]:
    """Those of a request, in their order."""
    return [each for each in PICTURES if each in (f"{name}.png", f"{name}-000.png", f"{name}-001.png")]


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_draws_the_same_pictures(engine: Engine, name: str) -> None:
    request = GenerationRequest.model_validate_json(Path(f"{name}.json").read_text(encoding="utf-8"))
    images = engine.generate(request).images
    assert len(images) == len(pictures(name))
    for image, picture in zip(images, pictures(name), strict=True):
        assert_same(image, picture)


@pytest.mark.slow
@pytest.mark.parametrize("picture", PICTURES)
def test_a_picture_is_made_again_from_its_recipe(engine: Engine, picture: str) -> None:
    (image,) = engine.reproduce(read_recipe(picture)).images
    assert_same(image, picture)


def test_the_fixtures_hold_what_they_are_for() -> None:
    """Each family, guidance, clip_skip as a field of the request, a LoRA and a picture to start from."""
    fields = [json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")) for name in REQUESTS]
    assert {each["model"] for each in fields} == {"shapes", "shapes-v", "shapes-sdxl", "shapes-sd3", "shapes-flux"}
    assert len({each["scheduler"] for each in fields}) == len(REQUESTS)
    for field in ("clip_skip", "loras", "init_image", "negative", "guidance_rescale", "without"):
        assert any(field in each for each in fields), field
