"""The tutorial, followed literally in a fresh environment: files as they are shown, commands in their order."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from PIL import Image
from support.distributions import CORE
from support.isolated import PLUGINS, Environment, build_wheels, make_environment
from support.pages import ROOT, blocks
from support.scripts import script

from latentry_shapes._detection import detect

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "tutorial.md"
NEEDED = (
    *("latentry-ddim", "latentry-euler", "latentry-attention-sdpa", "latentry-dev"),
    *("latentry-shapes", "latentry-shapes-flux"),
)
COMMAND = "import sys; from latentry._cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What the first page's commands give, as far as the tutorial needs it."""
    known = script("directory").distributions()
    ours = list(dict.fromkeys(each for name in NEEDED for each in (*known[name]["needs"], name)))
    folder = tmp_path_factory.mktemp("environment")
    made = make_environment(folder, "latentry", *ours, also=("pytest", "hatchling"))
    made.install(*build_wheels(folder / "wheels", CORE, *(PLUGINS / name for name in ours)))
    return made


@pytest.fixture(scope="module")
def followed(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which everything on the page was done."""
    folder = tmp_path_factory.mktemp("tutorial")
    for block in blocks(PAGE):
        if block.title:
            file = folder / block.title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        else:
            assert block.language == "sh", block
            for command in block.text.splitlines():
                done = run(environment, shlex.split(command), folder)
                assert done is None or done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return folder


def run(environment: Environment, words: list[str], folder: Path) -> subprocess.CompletedProcess[str] | None:
    """A command of the page: with the environment's Python, and pip without an index."""
    program, *arguments = words
    if program == "pip":
        offline = ["--no-deps", "--no-index", "--no-build-isolation"]
        paths = [
            folder / word if word in ("./latentry-mine", "./latentry-other", "dist") else word for word in arguments[1:]
        ]
        environment.pip(arguments[0], *offline, *paths)
        return None
    return environment.run(*(["-c", COMMAND] if program == "latentry" else []), *arguments, folder=folder)


@pytest.mark.parametrize("name", ["first", "flux", "second", "package"])
def test_each_picture_shows_what_was_asked_for(followed: Path, name: str) -> None:
    (thing,) = detect(Image.open(followed / f"{name}.png")).things
    assert (thing.color, thing.shape) == ("red", "circle")


def test_the_package_is_a_wheel_at_the_end(followed: Path) -> None:
    assert [file.name for file in (followed / "dist").iterdir()] == ["latentry_mine-0.1.0-py3-none-any.whl"]


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("order=2,\n        evaluations", "order=3,\n        evaluations", "1.96"),
        ("* (0.5 / self.r)", "* (0.6 / self.r)", "1.0"),
    ],
)
def test_the_kit_finds_what_the_page_says_it_finds(
    followed: Path, environment: Environment, tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    text = (followed / "mine.py").read_text(encoding="utf-8")
    assert right in text
    (tmp_path / "mine.py").write_text(text.replace(right, wrong).replace('"mine"', '"wrong"'), encoding="utf-8")
    done = run(environment, ["latentry", "check", "./mine.py"], tmp_path)
    assert done is not None
    assert done.returncode == 1
    failed = [line for line in done.stdout.splitlines() if "FAILED" in line and "convergence" in line]
    assert any(said in line for line in failed), done.stdout
