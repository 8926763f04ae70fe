"""Defaults of one's own: a file, variables, and what is typed, in one order; and what they must not change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commandline import CommandLine, Done

from latentry import read_recipe


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    line = CommandLine(tmp_path_factory.mktemp("cli"))
    yield line
    line.close()


class Home:
    """A folder with a configuration file, in which commands are run."""

    def __init__(self, cli: CommandLine, folder: Path) -> None:
        self._cli, self.folder, self.file = cli, folder, folder / "own" / "config.toml"

    def write(self, text: str) -> None:
        self.file.parent.mkdir(exist_ok=True)
        self.file.write_text(text)

    def __call__(self, *arguments: object, **variables: str) -> Done:
        named = {"LATENTRY_CONFIG": str(self.file), **{f"LATENTRY_{name}": text for name, text in variables.items()}}
        return self._cli(*arguments, folder=self.folder, environment=named)

    def steps(self) -> int | None:
        """Of the picture that was drawn last."""
        newest = max(self.folder.glob("*.png"), key=lambda path: path.stat().st_mtime_ns)
        return read_recipe(newest).request.steps


@pytest.fixture
def home(cli: CommandLine, tmp_path: Path) -> Home:
    return Home(cli, tmp_path)


DRAW = ("generate", "a red circle", "--model", "shapes-flux", "--seed", "1")


def test_what_is_typed_comes_before_a_variable_and_that_before_the_file(home: Home) -> None:
    home.write("[generate]\nsteps = 2\n")
    for expected, arguments, variables in ((2, (), {}), (3, (), {"STEPS": "3"}), (4, ("--steps", 4), {"STEPS": "3"})):
        done = home(*DRAW, *arguments, **variables)
        assert done.code == 0, done.err
        assert home.steps() == expected


def test_show_says_where_each_value_came_from(home: Home) -> None:
    home.write('[generate]\nsteps = 2\nmodel = "shapes"\nquiet = true\n')
    shown = json.loads(home("config", "--show", "--json", MODEL="shapes-v").out)
    rows = {row["setting"]: row for row in shown["settings"]}
    assert (rows["steps"]["value"], rows["steps"]["from"]) == ("2", str(home.file))
    assert (rows["model"]["value"], rows["model"]["from"]) == ("shapes-v", "LATENTRY_MODEL")
    assert rows["quiet"]["value"] is True
    assert (rows["batch"]["value"], rows["batch"]["from"]) == (4, "default")
    assert shown["file"] == str(home.file)
    told = home("config").out
    assert str(home.file) in told
    values = {words[0]: words[1] for line in told.splitlines()[2:] if len(words := line.split()) > 1}
    assert (values["quiet"], values["prefetch"]) == ("true", "false")  # as they are written in the file


def test_a_picture_is_made_again_as_it_was(home: Home) -> None:
    assert home(*DRAW, "--steps", 3, "--output", "first.png").code == 0
    home.write('[generate]\nsteps = 2\nscheduler = "heun"\nguidance = 1.5\nmodel = "shapes"\n')
    done = home("generate", "--from", "first.png", "--output", "again.png")
    assert done.code == 0, done.err
    assert (home.folder / "first.png").read_bytes() == (home.folder / "again.png").read_bytes()


@pytest.mark.parametrize(
    ("text", "command", "said"),
    [
        ("[generate]\nstepz = 2\n", DRAW, "generate.stepz is not a setting"),
        ("[generate]\nstepz = 2\n", ("config",), "Did you mean steps?"),
        ("[generate]\nseed = 2\n", DRAW, "generate.seed is not a setting"),
        ("[generate]\nsteps = 0\n", DRAW, "steps = 0 in "),
        ('[generate]\ndevice = "mars"\n', DRAW, "device = mars in "),
        ("steps = 2\n", DRAW, "steps is not in a table"),
        ("[generate\n", DRAW, "cannot be read"),
        ("[generate]\nsteps = {}\n", DRAW, "generate.steps is neither a text nor a number.\n  Its type is dict."),
    ],
)
def test_a_bad_file_is_one_clear_error(home: Home, text: str, command: tuple[str, ...], said: str) -> None:
    home.write(text)
    done = home(*command)
    assert done.code == 2
    assert said in done.err
    assert "config.toml" in done.err
    assert not list(home.folder.glob("*.png"))


def test_a_setting_without_effect_is_left_out_and_told(home: Home) -> None:
    """What is typed is refused: someone wanted it for this picture."""
    home.write('[generate]\nbatch = 2\nnegative = "grey"\nguidance = 1\nsteps = 2\n')
    adaptive = ("generate", "a red circle", "--scheduler", "dpm-adaptive", "--count", 3, "--seed", 1)
    done = home(*adaptive)
    assert done.code == 0, done.err
    said = " ".join(done.err.split())
    for setting in ("batch = 2 in ", "negative = grey in "):
        assert f"note: {setting}" in said
    assert said.count("has no effect here, and is left out.") == 2
    assert read_recipe(next(home.folder.glob("*.png"))).request.negative == ""
    done = home(*adaptive, "--batch", 2)
    assert (done.code, "--batch 2: The option" in done.err) == (2, True)


def test_an_option_that_words_of_a_later_line_do_not_need_is_refused_before_the_first_is_drawn(home: Home) -> None:
    (home.folder / "prompts.txt").write_text("[a red circle:a blue square:0.5]\na red circle\n")
    done = home("generate", "--prompts", "prompts.txt", "--prompt-syntax", "automatic1111", "--steps", 2)
    assert (done.code, "--prompt-syntax automatic1111: The option" in done.err) == (2, True), done.err
    assert not list(home.folder.glob("*.png"))


def test_a_bad_variable_is_named(home: Home) -> None:
    done = home(*DRAW, STEPS="many")
    assert done.code == 2
    assert done.err == "error: LATENTRY_STEPS=many: it must be a whole number.\n"


def test_a_file_is_begun_and_never_overwritten(home: Home) -> None:
    assert home("config", "--init").code == 0
    assert "# steps =" in home.file.read_text()
    assert home("config", "--show", "--json").code == 0
    home.file.write_text("[generate]\nsteps = 2\n")
    done = home("config", "--init")
    assert (done.code, home.file.read_text()) == (2, "[generate]\nsteps = 2\n")


def test_an_empty_variable_means_no_file(home: Home) -> None:
    home.write("nonsense")
    assert home("config", CONFIG="").out.startswith("No file is read.")
    assert home("config", "--path", CONFIG="").code == 2


@pytest.mark.parametrize(("level", "expected"), [("warning", False), ("info", True)])
def test_the_log_is_shown_from_a_level_on(home: Home, level: str, expected: bool) -> None:
    for done in (home(*DRAW, "--steps", 1, "--log-level", level), home(*DRAW, "--steps", 1, LOG_LEVEL=level)):
        assert done.code == 0
        assert ("latentry.attention:" in done.err) is expected


def test_an_unknown_level_is_refused(home: Home) -> None:
    done = home("schedulers", "--log-level=loud")
    assert (done.code, "it must be one of debug, info, warning, error" in done.err) == (2, True)
