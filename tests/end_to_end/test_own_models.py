"""Names for one's own models: given once, good wherever a model is, and taken away again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest
from PIL import Image
from support.commandline import CommandLine, Done

from latentry import read_recipe


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    line = CommandLine(tmp_path_factory.mktemp("cli"))
    yield line
    line.close()


class Home:
    """A folder with a configuration of its own."""

    def __init__(self, cli: CommandLine, folder: Path) -> None:
        self._cli, self.folder = cli, folder
        self.names = folder / "own" / "models.json"

    def __call__(self, *arguments: object) -> Done:
        own = {"LATENTRY_CONFIG": str(self.folder / "own" / "config.toml")}
        return self._cli(*arguments, folder=self.folder, environment=own)

    def listed(self) -> list[str]:
        """The names of all models."""
        return [row["name"] for row in json.loads(self("models", "--json").out)]


@pytest.fixture
def home(cli: CommandLine, tmp_path: Path) -> Home:
    return Home(cli, tmp_path)


def test_a_named_model_draws_what_its_path_draws(home: Home, tiny: Path) -> None:
    done = home("models", "add", tiny, "--name", "mine", "--guidance", 2.5)
    assert done.code == 0, done.err
    assert done.out.startswith("mine: sd, sd15, ")
    assert "mine" in home.listed()
    assert str(tiny) in home("models", "mine").out
    draw = ("generate", "a red circle", "--steps", 2, "--seed", 3, "--width", 32, "--height", 32)
    for model, output, guidance in (("mine", "named.png", ()), (tiny, "path.png", ("--guidance", 2.5))):
        done = home(*draw, "--model", model, "--output", output, *guidance)
        assert done.code == 0, done.err
    with Image.open(home.folder / "named.png") as named, Image.open(home.folder / "path.png") as path:
        assert named.tobytes() == path.tobytes()
    recipe = read_recipe(home.folder / "named.png")
    assert (recipe.request.model, recipe.request.guidance) == ("mine", 2.5)
    again = home("generate", "--from", "named.png", "--output", "again.png")
    assert again.code == 0, again.err
    assert (home.folder / "named.png").read_bytes() == (home.folder / "again.png").read_bytes()


def test_a_name_is_taken_away_and_the_files_stay(home: Home, tiny: Path) -> None:
    before = home.listed()
    assert home("models", "add", tiny).code == 0
    assert home.listed() != before
    assert home("models", "remove", "tiny").code == 0
    assert home.listed() == before
    assert (tiny / "model_index.json").exists()
    gone = home("models", "remove", "tiny")
    assert (gone.code, "You have added none" in gone.err) == (2, True)


def test_a_folder_of_models_gives_each_its_name(home: Home, tiny: Path, tiny_v: Path) -> None:
    folder = home.folder / "models"
    folder.mkdir()
    for name, model in (("One", tiny), ("two.v", tiny_v)):
        (folder / name).symlink_to(model)
    (folder / "notes.txt").write_text("not a model")
    (folder / "broken.safetensors").write_bytes(b"nothing")
    done = home("models", "add", folder, "--variant", "sd15")
    assert done.code == 0, done.err
    assert "broken.safetensors is left out" in done.out
    assert "notes.txt" not in done.out
    assert {"one", "two-v"} <= set(home.listed())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "nowhere"), "There is no model"),
        (("add", "TINY", "--name", "Not a name"), "Use lower case, digits and dashes: not-a-name"),
        (("add", "TINY", "--name", "shapes"), "There is a model 'shapes' already"),
        (("add", "TINY", "--variant", "sdxl"), "sdxl"),
        (("remove", "shapes"), "You have not added a model 'shapes'"),
    ],
)
def test_what_cannot_be_named_is_refused_and_nothing_is_written(
    home: Home, tiny: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = home("models", *(str(tiny) if word == "TINY" else word for word in arguments))
    assert done.code == 2
    assert said in done.err
    assert not home.names.exists()


def test_a_model_that_moved_and_a_damaged_list_are_told(home: Home, tiny: Path) -> None:
    place = home.folder / "here"
    copytree(tiny, place)
    assert home("models", "add", place).code == 0
    place.rename(home.folder / "there")
    done = home("generate", "a red circle", "--model", "here")
    assert done.code == 2
    assert str(place) in done.err
    home.names.write_text("{")
    done = home("models")
    assert done.code == 2
    assert str(home.names) in done.err


def test_without_names_nothing_changes(home: Home) -> None:
    assert home("models", "list", "--json").out == home("models", "--json").out
    assert home("models", "shapes").code == 0
    assert home("models", "nothing-like-it").code == 2
