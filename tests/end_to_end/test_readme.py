"""Every command in the README and the documentation that draws with a shipped model is run, its pictures are judged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from support.commandline import CommandLine
from support.pages import PAGES, blocks, command_lines

from latentry_shapes._detection import detect
from latentry_shapes._scoring import compare
from latentry_shapes.scenes import BACKGROUNDS, COLORS, RELATIONS, SHAPES, Scene, Thing, words

README = PAGES[0]
COUNT, SEED = 4, 31
"""Pictures of a command that names no seed, and the seed."""
FIRST = "a red circle left of a blue square"
"""The prompt of the first command, whose picture the others start from."""
THING = f"an? (?P<color%d>{'|'.join(COLORS)}) (?P<shape%d>{'|'.join(SHAPES)})"
PROMPT = re.compile(
    f"{THING % (0, 0)}(?: (?P<relation>{'|'.join(RELATIONS)}) {THING % (1, 1)})?"
    f"(?: on a (?P<background>{'|'.join(BACKGROUNDS)}) background)?"
)


@dataclass(frozen=True)
class Command:
    """A command of the README, without its first word."""

    words: tuple[str, ...]

    @property
    def prompt(self) -> str | None:
        """The prompt without weights, such as ``(red:1.3)``; None if the command repeats a picture."""
        if "--from" in self.words:
            return FIRST if len(self.words) > 3 else None  # with options it is the same with those changed
        return re.sub(r"\((.*?)(?::[\d.]+)?\)", r"\1", self.words[1])

    @property
    def draws_shapes(self) -> bool:
        """Whether the prompt is one for a shipped model, which knows no other words."""
        return self.prompt is None or set(self.prompt.split()) <= set(words())


def commands() -> Iterator[Command]:
    """The commands that generate pictures, each once; the tutorial's have a test of their own."""
    found = {words: None for page in PAGES if page.name != "tutorial.md" for words in command_lines(page)}
    yield from (Command(words) for words in found if words[0] == "generate")


COMMANDS = tuple(commands())
RUN = tuple(command for command in COMMANDS if command.draws_shapes)


def scene_of(prompt: str) -> Scene:
    """The scene that a prompt describes; its background is empty if the prompt does not name one."""
    match = PROMPT.fullmatch(prompt)
    assert match is not None, prompt
    found = match.groupdict()
    things = tuple(Thing(found[f"color{i}"], found[f"shape{i}"]) for i in range(2) if found[f"color{i}"])
    return Scene(found["background"] or "", things, found["relation"])


def wrong(prompt: str, picture: Image.Image) -> str:
    """What is wrong with a picture, empty if nothing is."""
    scene, detected = scene_of(prompt), detect(picture)
    scene = scene if scene.background else replace(scene, background=detected.background or "no known background")
    return "" if compare(scene, detected).all else f"{prompt}: {detected}"


@pytest.fixture(scope="module")
def folder(latentry: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands find where they run: a picture, a mask, an outline, a model, a plan and a scheduler."""
    folder = tmp_path_factory.mktemp("readme")
    assert latentry("generate", FIRST, "--seed", SEED, folder=folder).code == 0
    mask = Image.new("L", (64, 64))
    ImageDraw.Draw(mask).rectangle((34, 0, 63, 63), fill=255)
    mask.save(folder / "mask.png")
    outline = Image.new("RGB", (64, 64))
    ImageDraw.Draw(outline).ellipse((8, 24, 36, 52), outline="white", width=2)
    outline.save(folder / "outline.png")
    assert latentry("convert", "shapes", "shapes.safetensors", "--to", "single", folder=folder).code == 0
    exports = {line for page in PAGES for line in command_lines(page) if line[:2] == ("plan", "export")}
    assert all(latentry(*line, folder=folder).code == 0 for line in exports)  # the files that other commands follow
    (plugin,) = (block for block in blocks(README) if block.title)
    (folder / plugin.title).write_text(plugin.text)
    return folder


def test_only_commands_for_other_models_are_left_out() -> None:
    """They all name a model that does not ship."""
    others = [command for command in COMMANDS if command not in RUN]
    assert all("--model" in command.words for command in others)
    assert not any(set(command.words) & {"shapes", "shapes-flux", "shapes.safetensors"} for command in others)
    assert len(RUN) > 10


@pytest.mark.slow
@pytest.mark.parametrize(("number", "command"), list(enumerate(RUN)), ids=[" ".join(c.words[1:]) for c in RUN])
def test_a_command_draws_what_its_prompt_says(
    number: int, command: Command, folder: Path, latentry: CommandLine
) -> None:
    output = folder / str(number) / "picture.png"
    output.parent.mkdir()
    more: list[object] = ["--output", output]
    if command.prompt is not None and "--seed" not in command.words:
        more += ["--seed", SEED] + ([] if "--count" in command.words else ["--count", COUNT])
    done = latentry(*command.words, *more, folder=folder)
    assert done.code == 0, done.err
    pictures = [Image.open(file) for file in sorted(output.parent.glob("*.png"))]
    assert len(pictures) == (COUNT if "--seed" in more else 1)
    if command.prompt is None:
        assert np.array_equal(np.asarray(pictures[0]), np.asarray(Image.open(folder / "picture.png")))
    else:
        assert [wrong(command.prompt, picture) for picture in pictures] == [""] * len(pictures)


@pytest.mark.slow
def test_the_python_example_draws_what_its_prompt_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = next(
        block.text for block in blocks(README.parent / "docs" / "embedding.md") if "result.save" in block.text
    )
    (prompt,) = re.findall('prompt="(.*?)"', example)
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    assert wrong(prompt, Image.open(tmp_path / "picture.png")) == ""


@pytest.mark.parametrize(
    "prompt", ["a red circle", "a blue square left of a red circle", f"{FIRST} on a white background"]
)
def test_a_wrong_picture_is_noticed(prompt: str) -> None:
    picture = Image.new("RGB", (64, 64), "black")
    pen = ImageDraw.Draw(picture)
    pen.ellipse((6, 22, 26, 42), fill=COLORS["red"])
    pen.rectangle((38, 22, 58, 42), fill=COLORS["blue"])
    assert wrong(FIRST, picture) == ""
    assert wrong(prompt, picture) != ""
