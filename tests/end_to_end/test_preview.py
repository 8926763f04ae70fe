"""Pictures while they are drawn: how near previews come, and the option that shows them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.commandline import CommandLine
from support.toy import PLUGIN, toy_host, write_toy

from latentry import Engine, GenerationRequest, PluginHost, ProgressEvent
from latentry._cli._printing import _preview

MODELS = ("shapes", "shapes-sdxl", "shapes-sd3", "shapes-flux")


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_the_preview_of_finished_latents_looks_like_the_picture(model: str) -> None:
    """Like the one that it is of, and less like any other; the shipped autoencoders are far from linear."""
    engine = Engine(PluginHost())
    prompts = ("a red circle left of a blue square", "a green ring on a black background", "a yellow star")
    request = GenerationRequest(prompt=prompts, model=model, seed=1, steps=6)
    result = engine.generate(request)
    network: Any = engine.load(engine.prepare(request))
    shown = network.preview(result.latents).permute(0, 2, 3, 1).numpy()
    height, width = shown.shape[1:3]
    small = [image.resize((width, height), Image.Resampling.BOX) for image in result.images]
    meant = [np.asarray(image, dtype=np.float32) / 127.5 - 1 for image in small]
    off = np.array([[float(((one - other) ** 2).mean()) for other in meant] for one in shown])
    assert (off.argmin(1) == np.arange(len(prompts))).all()
    assert off.diagonal().max() < 0.2


@pytest.fixture
def toy(tmp_path: Path) -> list[object]:
    """Options for a model that takes no time."""
    return ["--model", write_toy(tmp_path / "model"), "--plugin-dir", PLUGIN, "--steps", 4, "--seed", 1]


def test_the_file_is_written_and_the_picture_is_the_same(
    latentry: CommandLine, tmp_path: Path, toy: list[object]
) -> None:
    for output, more in (("one.png", ["--preview", "deep/live.png"]), ("two.png", [])):
        done = latentry("generate", "a", *toy, "--count", 2, "--output", output, *more, folder=tmp_path)
        assert done.code == 0, done.err
    with Image.open(tmp_path / "deep" / "live.png") as live:
        assert (live.size, live.mode) == ((64, 32), "RGB")  # both pictures of the batch
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["live.png"]
    ones, twos = (
        [Image.open(path).tobytes() for path in sorted(tmp_path.glob(f"{name}*.png"))] for name in ("one", "two")
    )
    assert ones == twos
    assert len(ones) == 2


@pytest.mark.parametrize(("target", "says"), [("live.txt", ".png"), ("terminal", "not a terminal")])
def test_what_cannot_show_a_picture_is_refused(
    latentry: CommandLine, tmp_path: Path, toy: list[object], target: str, says: str
) -> None:
    done = latentry("generate", "a", *toy, "--preview", target, folder=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert not list(tmp_path.glob("*.png"))


def test_a_terminal_shows_three_pictures_of_a_batch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown: list[Image.Image] = []
    library: Any = ModuleType("textual_image.renderable")

    def picture(image: Image.Image, **size: str) -> str:
        shown.append(image)
        return ""

    library.Image = picture
    monkeypatch.setitem(sys.modules, "textual_image", ModuleType("textual_image"))
    monkeypatch.setitem(sys.modules, "textual_image.renderable", library)
    monkeypatch.setattr(_preview, "is_terminal", lambda stream: True)
    events: list[ProgressEvent] = []
    progress = _preview.previewing("terminal", events.append)
    request = GenerationRequest(prompt="a", model=str(write_toy(tmp_path / "model")), seed=1, steps=9, count=3, batch=2)
    Engine(toy_host()).generate(request, progress=progress)
    assert [image.size for image in shown] == [(64, 32)] * 3 + [(32, 32)] * 3
    assert events[-1].stage == "done"


def test_a_model_without_previews_says_so_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = Engine(toy_host())
    request = GenerationRequest(prompt="a", model=str(write_toy(tmp_path / "model")), seed=1, steps=5)
    network = type(engine.load(engine.prepare(request)))
    monkeypatch.delattr(network, "preview")
    monkeypatch.setattr(_preview, "SECONDS", 0.0)
    engine.generate(request, progress=_preview.previewing(str(tmp_path / "live.png"), None))
    assert capsys.readouterr().err.count("no previews") == 1
    assert not (tmp_path / "live.png").exists()
