"""Pictures while they are drawn: how near previews come, and the option that shows them."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageStat
from support.commandline import CommandLine, clean_environment
from support.toy import PLUGIN, toy_host, write_toy

from latentry import Engine, GenerationRequest, PluginHost, ProgressEvent
from latentry._cli._printing import _preview

MODELS = ("shapes", "shapes-sdxl", "shapes-sd3", "shapes-flux", "shapes-z-image")


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


ANSWERS = {
    "sixel": ((b"\x1b[c", b"\x1b[?62;4c"),),
    "kitty": ((b"\x1b[c", b"\x1b[?62c"), (b"a=q", b"\x1b_Gi=1;OK\x1b\\")),
}
"""What a terminal is asked, and what one of that kind answers."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ANSWERS)
def test_a_terminal_is_spoken_to_on_standard_error(tmp_path: Path, kind: str) -> None:
    """With standard output in a pipe, the picture in its protocol is on the terminal, and none of it in the pipe.

    textual-image waits a tenth of a second for each answer, which this process may not get on a busy machine: it waits
    a minute here.
    """
    pytest.importorskip("textual_image")
    code = (
        "from textual_image import _terminal\nread = _terminal.read\n"
        "_terminal.read = lambda file, length, timeout=None: read(file, length, 60.0)\n"
        "from types import SimpleNamespace as S\nfrom PIL import Image\nfrom latentry._cli._printing import _preview\n"
        f"picture = Image.open({str(tmp_path / 'a.png')!r})\n"
        "event = S(glimpse=S(images=lambda: [picture]), run=S(plan=[0] * 8, index=4))\n"
        "_preview.previewing('terminal', None)(event)\nprint('path.png')"
    )
    Image.radial_gradient("L").convert("RGB").resize((40, 40)).save(tmp_path / "a.png")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 800, 480))
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=theirs, stderr=theirs, stdout=subprocess.PIPE, env=clean_environment()
    )
    os.close(theirs)
    shown, answers = b"", list(ANSWERS[kind])
    with contextlib.suppress(OSError):  # the other end has left
        while piece := os.read(ours, 65_536):
            shown += piece
            if answers and answers[0][0] in shown:
                os.write(ours, answers.pop(0)[1])
    os.close(ours)
    assert (process.communicate(timeout=60)[0], process.returncode) == (b"path.png\n", 0)
    if kind == "sixel":
        assert re.search(rb"\x1bP[0-9;]*q", shown)
    else:  # chunks of base64, as the protocol's documentation says; the last one has m=0
        chunks = re.findall(rb"\x1b_G[^;]*m=([01])[^;]*;([^\x1b]*)\x1b", shown)
        assert [more for more, _ in chunks][-1] == b"0"
        found = Image.open(io.BytesIO(base64.b64decode(b"".join(data for _, data in chunks))))
        original = Image.open(tmp_path / "a.png").resize(found.size)
        assert ImageStat.Stat(ImageChops.difference(original, found.convert("RGB"))).mean < [2.0] * 3
