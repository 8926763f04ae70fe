"""Pictures are not lost: where they go, under which names, in which format, and what an interrupt leaves."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.commandline import CommandLine, clean_environment
from support.toy import PLUGIN, write_toy

from latentry import Recipe, read_recipe


@pytest.fixture
def command(tmp_path: Path) -> tuple[object, ...]:
    """A generation that takes no time, in a folder that has nothing but the model in it."""
    model = write_toy(tmp_path / "models" / "toy-v1.5")
    return ("generate", "a", "--model", model, "--plugin-dir", PLUGIN, "--steps", 2)


def pictures(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_default_names_are_numbered_and_nothing_is_overwritten(
    latentry: CommandLine, tmp_path: Path, command: tuple[object, ...]
) -> None:
    printed = []
    for options in ([], [], ["--count", 2], ["--count", 2], []):
        done = latentry(*command, *options, folder=tmp_path)
        assert done.code == 0, done.err
        printed += done.out.splitlines()
    # each picture comes after those that were there, by its name too
    assert printed == ["picture.png", *(f"picture-{number:03d}.png" for number in range(1, 7))]
    assert pictures(tmp_path) == sorted(printed)
    seeds = [read_recipe(tmp_path / name).request.seed for name in printed]
    assert len(set(seeds)) == 5


def test_numbers_go_on_after_the_highest_that_is_there(
    latentry: CommandLine, tmp_path: Path, command: tuple[object, ...]
) -> None:
    for name in ("picture-000.png", "picture-041.png", "picture-7.png", "picture-old.png", "picture-050.jpg"):
        (tmp_path / name).write_bytes(b"mine")
    assert latentry(*command, folder=tmp_path).out.splitlines() == ["picture-042.png"]
    again = latentry(*command, "--overwrite", folder=tmp_path)
    assert again.out.splitlines() == ["picture.png"]
    assert (tmp_path / "picture-041.png").read_bytes() == b"mine"


def test_a_named_file_that_exists_is_refused_before_drawing(
    latentry: CommandLine, tmp_path: Path, command: tuple[object, ...]
) -> None:
    (tmp_path / "a.png").write_bytes(b"mine")
    (tmp_path / "b-001.png").write_bytes(b"mine")
    for output, options, taken in (("a.png", [], "a.png"), ("b", ["--count", 2], "b-001.png")):
        done = latentry(*command, "--output", output, *options, folder=tmp_path)
        assert (done.code, done.out) == (2, "")
        assert f"{taken} exists" in done.err
        assert "--overwrite" in done.err
        assert "Loading" not in done.err
    assert pictures(tmp_path) == ["a.png", "b-001.png"]
    done = latentry(*command, "--output", "a.png", "--overwrite", folder=tmp_path)
    assert (done.code, done.out) == (0, "a.png\n"), done.err
    assert read_recipe(tmp_path / "a.png").request.prompt == "a"
    assert (tmp_path / "b-001.png").read_bytes() == b"mine"


def test_overwriting_does_not_reach_this_commands_own_pictures(
    latentry: CommandLine, tmp_path: Path, command: tuple[object, ...]
) -> None:
    options = ["--output", "{seed}.png", "--seed", 3, "--count", 3, "--overwrite"]
    for _ in range(2):
        done = latentry(*command, *options, folder=tmp_path)
        assert done.out.splitlines() == ["3.png", "3-001.png", "3-002.png"]
    assert [read_recipe(tmp_path / name).index for name in ("3.png", "3-001.png", "3-002.png")] == [0, 1, 2]


def test_a_folder_takes_numbered_names(latentry: CommandLine, tmp_path: Path, command: tuple[object, ...]) -> None:
    (tmp_path / "here").mkdir()
    for output, folder in (("here", "here"), ("new/deep/", "new/deep")):
        for name in ("picture.png", "picture-001.png"):
            done = latentry(*command, "--output", output, folder=tmp_path)
            assert done.out == f"{folder}/{name}\n", done.err


def test_a_template_is_filled_in(latentry: CommandLine, tmp_path: Path, command: tuple[object, ...]) -> None:
    output = "{model}/{scheduler}-{seed}-{index:02}.webp"
    done = latentry(
        *command, "--scheduler", "toy:first", "--seed", 7, "--count", 2, "--output", output, folder=tmp_path
    )
    assert done.out.splitlines() == ["toy-v1.5/first-7-00.webp", "toy-v1.5/first-7-01.webp"], done.err
    dated = latentry(*command, "--output", "{date:%Y}/{date}", folder=tmp_path)
    (path,) = dated.out.splitlines()
    year, name = path.split("/")
    assert name.startswith(f"{year}-")
    assert name.endswith(".png")
    assert read_recipe(tmp_path / path).request.prompt == "a"


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("{sed}.png", "no field 'sed'"),
        ("{seed.real}.png", "no field 'seed.real'"),
        ("{}.png", "no field"),
        ("{seed", "Expected '}'"),
        ("{scheduler:d}.png", "format code"),
        ("picture.gif", "PNG, JPEG, WebP or AVIF"),
        ("{index}.bmp", "PNG, JPEG, WebP or AVIF"),
    ],
)
def test_what_cannot_be_a_name_is_refused(
    latentry: CommandLine, tmp_path: Path, command: tuple[object, ...], output: str, why: str
) -> None:
    done = latentry(*command, "--output", output, folder=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert why in done.err
    assert "Loading" not in done.err
    assert pictures(tmp_path) == []


def test_no_field_leads_out_of_its_folder(latentry: CommandLine, tmp_path: Path, command: tuple[object, ...]) -> None:
    """The name of a model is text from outside: it cannot bring folders of its own."""
    model = write_toy(tmp_path / "..hidden:*?")
    done = latentry(*command, "--model", model, "--output", "out/{model}.png", folder=tmp_path)
    assert done.out == "out/..hidden-.png\n", done.err


@pytest.mark.parametrize(
    ("suffix", "kind"), [(".png", "PNG"), (".JPG", "JPEG"), (".jpeg", "JPEG"), (".webp", "WEBP"), (".avif", "AVIF")]
)
def test_every_format_carries_the_recipe_and_makes_the_picture_again(
    latentry: CommandLine, tmp_path: Path, command: tuple[object, ...], suffix: str, kind: str
) -> None:
    prompt = "a ü 紅 \U0001f600"
    words = [prompt if word == "a" else word for word in command]
    assert latentry(*words, "--output", "first.png", "--seed", 4, folder=tmp_path).code == 0
    done = latentry(*words, "--output", f"x{suffix}", "--seed", 4, folder=tmp_path)
    assert done.out == f"x{suffix}\n", done.err
    with Image.open(tmp_path / f"x{suffix}") as picture, Image.open(tmp_path / "first.png") as exact:
        assert picture.format == kind
        difference = np.abs(np.asarray(picture.convert("RGB")).astype(int) - np.asarray(exact)).mean()
    assert difference == 0 if kind == "PNG" else difference < 12
    recipe = read_recipe(tmp_path / f"x{suffix}")
    assert recipe == read_recipe(tmp_path / "first.png")
    assert recipe.request.prompt == prompt
    shown = latentry("show", f"x{suffix}", "--json", folder=tmp_path)
    assert Recipe.model_validate_json(shown.out) == recipe
    again = ("generate", "--from", f"x{suffix}", "--trust", "--plugin-dir", PLUGIN, "--output", "again.png")
    assert latentry(*again, folder=tmp_path).code == 0
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "first.png").read_bytes()


def test_a_recipe_that_a_format_has_no_room_for_is_refused_before_drawing(
    latentry: CommandLine, tmp_path: Path, command: tuple[object, ...]
) -> None:
    words = ["many words " * 3_000 if word == "a" else word for word in command]
    done = latentry(*words, "--output", "a.jpg", folder=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "too long for the recipe in a JPEG file" in done.err
    assert "Loading" not in done.err
    fitting = ["many words " * 1_200 if word == "a" else word for word in command]
    for line, name in ((words, "a.webp"), (fitting, "b.jpg")):
        assert latentry(*line, "--output", name, folder=tmp_path).out == f"{name}\n"
        assert read_recipe(tmp_path / name).request.prompt == str(line[1]).strip()  # as a file's lines are


def run(*arguments: object, folder: Path) -> subprocess.CompletedProcess[bytes]:
    code = "import sys; from latentry_main import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        timeout=300,
        check=False,
    )


def test_standard_output_gets_the_picture_and_nothing_else(tmp_path: Path, command: tuple[object, ...]) -> None:
    done = run(*command, "--seed", 2, "--output", "-", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    with Image.open(io.BytesIO(done.stdout)) as picture:
        assert picture.format == "PNG"
        assert json.loads(picture.text["latentry"])["request"]["seed"] == 2  # type: ignore[attr-defined]
    assert b"seed 2" in done.stderr
    assert pictures(tmp_path) == []


@pytest.mark.parametrize(("options", "why"), [(["--count", 2], "takes one picture"), (["--json"], "--json")])
def test_standard_output_takes_one_picture_alone(
    latentry: CommandLine, tmp_path: Path, command: tuple[object, ...], options: list[object], why: str
) -> None:
    done = latentry(*command, "--output", "-", *options, folder=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert why in done.err


def test_standard_output_gets_paths_alone(latentry: CommandLine, tmp_path: Path, command: tuple[object, ...]) -> None:
    """So that ``latentry generate … | xargs`` works."""
    done = latentry(*command, "--count", 2, "--guidance", 3, folder=tmp_path)
    assert done.out.splitlines() == pictures(tmp_path) == ["picture-000.png", "picture-001.png"]
    assert "guidance 3" in done.err
    quiet = latentry(*command, "-q", "--output", "q.png", folder=tmp_path)
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


PROGRAM = """
import os, signal, sys
import latentry._generate._engine as engine

drawn = engine.Engine.generate

def interrupted(self, *args, progress=None, **kwargs):
    def follow(event):
        if event.stage == "sample" and event.done == int(os.environ["AT"]):
            os.kill(os.getpid(), signal.SIGINT)
    return drawn(self, *args, progress=follow, **kwargs)

engine.Engine.generate = interrupted
from latentry_main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""


@pytest.mark.parametrize(("step", "done_by_then", "options"), [(16, 3, []), (39, 7, ["--json"])])
def test_an_interrupt_keeps_what_is_finished(
    latentry: CommandLine,
    tmp_path: Path,
    command: tuple[object, ...],
    step: int,
    done_by_then: int,
    options: list[str],
) -> None:
    """Ctrl-C in a step of ``--count 8 --batch 1`` at five steps each: every finished picture is whole."""
    words = [*command, "--steps", 5, "--count", 8, "--batch", 1, "--seed", 1, *options]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, words)],
        cwd=tmp_path,
        env=clean_environment() | {"AT": str(step)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    names = [f"picture-{i:03d}.png" for i in range(done_by_then)]
    assert done.returncode == 130, done.stderr
    assert done.stderr.splitlines()[-1] == "latentry: cancelled"
    printed = [entry["path"] for entry in json.loads(done.stdout or "[]")] if options else done.stdout.splitlines()
    assert printed == names
    assert pictures(tmp_path) == names
    for index, name in enumerate(names):
        with Image.open(tmp_path / name) as picture:
            picture.load()
            assert picture.size == (32, 32)
        assert read_recipe(tmp_path / name).index == index
    again = ("generate", "--from", names[-1], "--trust", "--plugin-dir", PLUGIN, "--output", "again.png")
    assert latentry(*again, folder=tmp_path).code == 0
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / names[-1]).read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupt_from_outside_ends_the_same_way(tmp_path: Path, command: tuple[object, ...]) -> None:
    """Not at a moment of our choosing: as soon as the first path is printed.

    The paths are longer than a pipe's room and nobody reads them before the signal, so it comes before the end. A
    shell that put the tests in the background ignores SIGINT, and so do its children: the program is told not to.
    """
    code = (
        "import signal, sys; from latentry_main import main; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); sys.exit(main())"
    )
    words = [*command, "--steps", 20, "--count", 600, "--batch", 1, "--output", f"{'x' * 200}.png"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=tmp_path,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        first = process.stdout.readline()
        os.kill(process.pid, signal.SIGINT)
        rest = process.stdout.read()
    assert process.wait(timeout=60) == 130
    names = [first.strip(), *rest.split()]
    assert 0 < len(names) < 600
    assert pictures(tmp_path) == sorted(names)
    assert [read_recipe(tmp_path / name).index for name in names] == list(range(len(names)))
