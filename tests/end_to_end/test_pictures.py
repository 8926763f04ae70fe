"""From the command line to a picture and back to the same pixels."""

from __future__ import annotations

import io
import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.commandline import CommandLine, fresh
from support.models import PROMPT
from support.toy import PLUGIN, write_toy

from latentry import Engine, GenerationRequest, PluginHost, ProgressEvent, read_recipe
from latentry._cli._printing._progress import following


def pixels(path: Path) -> np.ndarray[Any, Any]:
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_a_fresh_process_draws_a_picture_and_reports_it(tiny: Path, tmp_path: Path) -> None:
    done = fresh("generate", PROMPT, "--model", tiny, "--steps", 4, "--seed", 7, folder=tmp_path)
    assert done.code == 0, done.err
    assert done.out == "picture.png\n"
    assert pixels(tmp_path / "picture.png").shape == (64, 64, 3)
    assert not any(mark in done.err for mark in ("\r", "\x1b", "%", "Warning", "Traceback"))
    lines = done.err.splitlines()
    assert lines[0].startswith("Loading ")
    done_at = lines.index("Done")
    assert lines[1:done_at] == ["Encoding the prompt", *(f"Sampling {i}/4" for i in range(5)), "Decoding"]
    report = "\n".join(lines[done_at + 1 :])  # with a note that names a scheduler for few steps
    assert all(words in report for words in ("ddim", "4 steps (4 evaluations)", "seed 7"))


@pytest.mark.parametrize("scheduler", [["ddim", "--set", "eta=0.7"], ["euler"], ["euler", "--set", "churn=3"]])
def test_a_picture_shows_its_recipe_and_is_made_again(
    latentry: CommandLine, tiny: Path, tmp_path: Path, scheduler: list[str]
) -> None:
    settings = ["--model", tiny, "--steps", 5, "--scheduler", *scheduler, "--negative", "dark", "--guidance", 3]
    done = latentry("generate", PROMPT, *settings, "--count", 3, "--batch", 2, "--output", "a.png", folder=tmp_path)
    assert done.code == 0, done.err
    assert done.out.splitlines() == ["a-000.png", "a-001.png", "a-002.png"]
    shown = latentry("show", "a-001.png", "--json", folder=tmp_path)
    recipe = json.loads(shown.out)
    assert recipe["index"] == 1
    assert recipe["request"]["prompt"] == PROMPT
    assert recipe["request"]["negative"] == "dark"
    assert isinstance(recipe["request"]["seed"], int)
    assert recipe["plugins"]["scheduler"]["name"] == f"latentry-{scheduler[0]}:{scheduler[0]}"
    assert recipe["plugins"]["family"]["version"]
    told = latentry("show", "a-001.png", folder=tmp_path)
    assert (told.code, told.err) == (0, "")
    assert PROMPT in told.out
    for name in ("a-001.png", "a-002.png"):
        again = latentry(
            "generate", "--from", name, "--trust", "--output", "again.png", "--quiet", "--overwrite", folder=tmp_path
        )
        assert (again.code, again.out, again.err) == (0, "", "")
        assert np.array_equal(pixels(tmp_path / "again.png"), pixels(tmp_path / name))
        assert read_recipe(tmp_path / "again.png") == read_recipe(tmp_path / name)


def test_a_part_of_a_picture_is_drawn_anew_and_made_again(latentry: CommandLine, tiny: Path, tmp_path: Path) -> None:
    Image.radial_gradient("L").resize((64, 64)).save(tmp_path / "init.png")
    Image.new("L", (64, 64), 255).save(tmp_path / "mask.png")
    pictures = ["--init-image", "init.png", "--mask", "mask.png", "--strength", 0.5]
    guided = ["--guidance-interval", "0,0.7", "--guidance-rescale", 0.5, "--strength-mode", "full"]
    command = ["generate", "a (red:1.2) star", "--model", tiny, "--steps", 3, "--seed", 1, *pictures, *guided]
    done = latentry(*command, "--output", "a.png", folder=tmp_path)
    assert done.code == 0, done.err
    assert "3 steps (3 evaluations)" in done.err
    recipe = read_recipe(tmp_path / "a.png")
    assert recipe.request.init_image == str(tmp_path / "init.png")
    assert recipe.request.guidance_interval == (0.0, 0.7)
    assert set(recipe.inputs) == {"init_image", "mask"}
    once_more = ("generate", "--from", "a.png", "--model", tiny)
    again = latentry(*once_more, "--output", "b.png", folder=tmp_path)
    assert again.code == 0, again.err
    assert np.array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png"))
    (tmp_path / "init.png").rename(tmp_path / "moved.png")
    lost = latentry(*once_more, "--output", "c.png", folder=tmp_path)
    assert (lost.code, "There is no file" in lost.err) == (2, True)
    found = latentry(
        "generate",
        "--from",
        "a.png",
        "--model",
        tiny,
        "--init-image",
        "moved.png",
        "--output",
        "c.png",
        folder=tmp_path,
    )
    assert found.code == 0, found.err
    assert np.array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "c.png"))
    other = latentry(
        "generate", "--from", "a.png", "--model", tiny, "--init-image", "mask.png", "--output", "d.png", folder=tmp_path
    )
    assert (other.code, "is not the one" in other.err) == (2, True)


def test_the_same_seed_draws_the_same_picture_and_another_does_not(
    latentry: CommandLine, tiny: Path, tmp_path: Path
) -> None:
    for name, seed in (("a.png", 1), ("b.png", 1), ("c.png", 2)):
        command = ["generate", PROMPT, "--model", tiny, "--steps", 3, "--seed", seed, "--output", name, "-q"]
        assert latentry(*command, folder=tmp_path).code == 0
    assert np.array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png"))
    assert not np.array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "c.png"))


def test_a_report_as_json_is_json_alone(latentry: CommandLine, tiny: Path, tmp_path: Path) -> None:
    command = ["generate", PROMPT, "--model", tiny, "--steps", 2, "--count", 2, "--json", "--output", "deep/er/x"]
    done = latentry(*command, folder=tmp_path)
    assert (done.code, done.err) == (0, "")
    report = json.loads(done.out)
    assert [entry["path"] for entry in report] == ["deep/er/x-000.png", "deep/er/x-001.png"]
    assert GenerationRequest.model_validate(report[0]["recipe"]["request"]).steps == 2
    assert (tmp_path / "deep" / "er" / "x-001.png").is_file()


def test_every_option_reaches_the_recipe(latentry: CommandLine, tiny: Path, tmp_path: Path) -> None:
    given = {
        "variant": "sd15",
        "sigmas": "8,2,0.5",
        "final": "table",
        "guidance": "1.5",
        "seed": "12",
        "width": "72",
        "height": "48",
        "batch": "1",
        "device": "cpu",
        "dtype": "float32",
        "attention": "native",
    }
    options = [word for name, value in given.items() for word in (f"--{name}", value)]
    done = latentry("generate", PROMPT, "--model", tiny, *options, "-q", folder=tmp_path)
    assert (done.code, done.err) == (0, "")
    request = read_recipe(tmp_path / "picture.png").request
    assert request.sigmas == (8.0, 2.0, 0.5)
    assert {name: str(getattr(request, name)) for name in given if name != "sigmas"} == {
        name: value for name, value in given.items() if name != "sigmas"
    }
    assert pixels(tmp_path / "picture.png").shape == (48, 72, 3)


def test_a_loose_scheduler_draws_and_is_named_when_it_is_missing(
    latentry: CommandLine, tiny: Path, tmp_path: Path
) -> None:
    command = ["generate", PROMPT, "--model", tiny, "--steps", 2, "--scheduler", "toy:noisy", "-q"]
    assert latentry(*command, "--plugin-dir", PLUGIN, folder=tmp_path).code == 0
    once_more = ("generate", "--from", "picture.png", "--trust", "--output", "b.png")
    gone = latentry(*once_more, folder=tmp_path)
    assert gone.code == 2
    assert f"toy:noisy is missing: load the plugin {PLUGIN}" in gone.err
    again = latentry(
        "generate", "--from", "picture.png", "--trust", "--output", "b.png", "--plugin-dir", PLUGIN, folder=tmp_path
    )
    assert again.code == 0, again.err
    assert np.array_equal(pixels(tmp_path / "picture.png"), pixels(tmp_path / "b.png"))


def test_the_shipped_model_needs_no_options(latentry: CommandLine, shapes: Path, tmp_path: Path) -> None:
    done = latentry("generate", PROMPT, "--seed", 1, folder=tmp_path)
    assert done.code == 0, done.err
    recipe = read_recipe(tmp_path / "picture.png")
    assert recipe.plugins["checkpoint"].name == "latentry-shapes:shapes"
    assert recipe.request.model == "shapes"
    assert pixels(tmp_path / "picture.png").std() > 5


@pytest.fixture(scope="module")
def engine() -> Engine:
    """With every installed plugin."""
    return Engine(PluginHost())


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_a_picture_differs_by_a_level_at_most_across_batches_and_not_within_one(
    engine: Engine, tiny: Path, eta: float
) -> None:
    settings = {"prompt": PROMPT, "model": str(tiny), "seed": 3, "steps": 8, "scheduler_options": {"eta": eta}}
    four, one, alone = (
        engine.generate(GenerationRequest(**settings, scheduler="ddim", count=count, batch=batch))  # type: ignore[arg-type]
        for count, batch in ((4, 4), (4, 1), (1, 4))
    )
    again = engine.generate(GenerationRequest(**settings, scheduler="ddim", count=4))  # type: ignore[arg-type]
    for i in range(4):
        a, b = (np.asarray(result.images[i]).astype(int) for result in (four, one))
        assert np.abs(a - b).max() <= 1
        assert again.images[i].tobytes() == four.images[i].tobytes()
    assert alone.images[0].tobytes() == one.images[0].tobytes()
    assert np.abs(np.asarray(four.images[0]).astype(int) - np.asarray(four.images[1]).astype(int)).max() > 1


def test_a_caller_brings_latents_and_noise(engine: Engine, tiny: Path) -> None:
    wanted = GenerationRequest(
        prompt=PROMPT, model=str(tiny), seed=3, steps=3, scheduler="ddim", scheduler_options={"eta": 1}
    )
    own = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(9))
    begun: list[torch.Tensor] = []

    def listen(event: ProgressEvent) -> None:
        if event.run is not None and event.run.index == 0:
            begun.append(event.run.sample)

    def none(like: torch.Tensor, *_: Any) -> torch.Tensor:
        return torch.zeros_like(like)

    result = engine.generate(wanted, latents=own, noise=none, progress=listen)
    assert torch.equal(begun[0], own)
    assert not torch.equal(result.latents, engine.generate(wanted, latents=own).latents)


def test_cancelling_leaves_the_engine_and_its_attention_as_they_were(engine: Engine, tiny: Path) -> None:
    wanted = GenerationRequest(prompt=PROMPT, model=str(tiny), seed=3, steps=4)
    model: Any = engine.load(engine.prepare(wanted))
    before = [module.processor for module in model.unet.modules() if hasattr(module, "set_processor")]

    def cancel(event: ProgressEvent) -> None:
        if event.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.generate(wanted, progress=cancel)
    after = [module.processor for module in model.unet.modules() if hasattr(module, "set_processor")]
    assert all(a is b for a, b in zip(before, after, strict=True))
    assert engine.load(engine.prepare(wanted)) is model
    assert len(engine.generate(wanted).images) == 1


def test_what_is_printed_grows_and_is_short(latentry: CommandLine, tmp_path: Path) -> None:
    model = write_toy(tmp_path / "model")
    command = ["generate", "a", "--model", model, "--plugin-dir", PLUGIN, "--steps", 50, "--count", 6]
    lines = latentry(*command, "--batch", 2, folder=tmp_path).err.splitlines()
    counts = [int(line.split()[1].split("/")[0]) for line in lines if line.startswith("Sampling")]
    assert all(a < b for a, b in pairwise(counts))
    assert counts[-1] == 150
    assert 10 <= len(counts) <= 12


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with following(silent=False) as progress:
        assert progress is not None
        for done in range(4):
            progress(ProgressEvent("sample", done, 3, "Sampling"))
    assert "Sampling" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()


def test_silence_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    with following(silent=True) as progress:
        assert progress is None
    assert capfd.readouterr() == ("", "")
