"""Many pictures of one command: prompts in a file, several seeds, alternatives, foreign syntax, a contact sheet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.commandline import CommandLine, Done, clean_environment
from support.toy import PLUGIN, write_toy

from latentry import LatentryError, Recipe, read_recipe
from latentry._cli._drawing._syntax import translate
from latentry._cli._drawing._wildcards import Wildcards
from latentry._request._values._reading import seeds


@pytest.fixture
def toy(tmp_path: Path) -> list[object]:
    """Options for a model that takes no time."""
    return ["--model", write_toy(tmp_path / "models" / "model"), "--plugin-dir", PLUGIN, "--steps", 2]


def recipes(done: Done, folder: Path) -> list[Recipe]:
    assert done.code == 0, done.err
    return [read_recipe(folder / name) for name in done.out.splitlines()]


def prompts_of(found: Sequence[Recipe]) -> list[str]:
    return [recipe.request.prompts[recipe.index] for recipe in found]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["7"], 7),
        (["-1"], -1),
        (["1..4"], (1, 2, 3, 4)),
        (["1,5,9"], (1, 5, 9)),
        (["3", "8..9"], (3, 8, 9)),
        (["5..5"], 5),
        ([str(2**64 - 1)], 2**64 - 1),
    ],
)
def test_seeds_are_read(texts: list[str], expected: object) -> None:
    assert seeds(*texts) == expected


@pytest.mark.parametrize("text", ["a", "1..", "..4", "4..1", "1..99999999999", "", "1.5", "1,,2"])
def test_what_is_not_a_seed_is_refused(latentry: CommandLine, tmp_path: Path, text: str) -> None:
    done = latentry("generate", "a", "--seed", text, folder=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "--seed" in done.err
    assert "1..16" in done.err


def test_each_seed_draws_as_if_it_were_alone(latentry: CommandLine, tmp_path: Path, toy: list[object]) -> None:
    done = latentry("generate", "a", *toy, "--seed", "3..5", "--seed", 9, "--count", 2, folder=tmp_path)
    found = recipes(done, tmp_path)
    assert [(recipe.request.seed, recipe.index) for recipe in found] == [(s, i) for s in (3, 4, 5, 9) for i in (0, 1)]
    assert done.out.splitlines() == [f"picture-{number:03d}.png" for number in range(8)]
    alone = latentry("generate", "a", *toy, "--seed", 4, "--count", 2, "--output", "alone", folder=tmp_path)
    assert alone.code == 0
    for number in (0, 1):
        one, other = (tmp_path / f"alone-00{number}.png").read_bytes(), (tmp_path / f"picture-00{number + 2}.png")
        assert other.read_bytes() == one


def test_a_picture_is_made_again_with_several_seeds(latentry: CommandLine, tmp_path: Path, toy: list[object]) -> None:
    assert latentry("generate", "a", *toy, "--seed", 1, folder=tmp_path).code == 0
    again = latentry("generate", "--from", "picture.png", *toy[:4], "--seed", "2..3", folder=tmp_path)
    assert [recipe.request.seed for recipe in recipes(again, tmp_path)] == [2, 3]
    assert latentry("generate", "a", *toy, "--seed", 3, "--output", "typed.png", folder=tmp_path).code == 0
    with Image.open(tmp_path / "typed.png") as typed, Image.open(tmp_path / again.out.splitlines()[1]) as made:
        assert np.array_equal(np.asarray(typed), np.asarray(made))


LINES = """
# a comment
a red circle

  a blue square ü
{"prompt": "a green ring", "steps": 3, "seed": 5}
{a|b} is text
"""


def test_each_line_of_a_file_is_drawn(latentry: CommandLine, tmp_path: Path, toy: list[object]) -> None:
    (tmp_path / "lines.txt").write_text(LINES, encoding="utf-8")
    done = latentry("generate", "--prompts", "lines.txt", *toy, "--seed", 2, folder=tmp_path)
    found = recipes(done, tmp_path)
    assert prompts_of(found) == ["a red circle", "a blue square ü", "a green ring", "{a|b} is text"]
    assert [(recipe.request.seed, recipe.request.steps) for recipe in found] == [(2, 2), (2, 2), (5, 3), (2, 2)]
    assert "4 of 4: " in done.err
    alone = latentry("generate", "a blue square ü", *toy, "--seed", 2, "--output", "alone.png", folder=tmp_path)
    assert alone.code == 0
    assert (tmp_path / "alone.png").read_bytes() == (tmp_path / "picture-001.png").read_bytes()


def test_prompts_come_from_standard_input(tmp_path: Path, toy: list[object]) -> None:
    code = "import sys; from latentry_main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "generate", "--prompts", "-", *map(str, toy), "-q"]
    done = subprocess.run(
        command, cwd=tmp_path, env=clean_environment(), input="one\ntwo\n", text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert [read_recipe(tmp_path / f"picture-00{i}.png").request.prompt for i in (0, 1)] == ["one", "two"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "has no prompts"),
        (b"# only comments\n", "has no prompts"),
        (b'fine\n{"prompt": \n', "line 2 is not valid JSON"),
        (b'{"steps": 3}', 'has no "prompt"'),
        (b'{"prompt": ["a"]}', 'has no "prompt"'),
        (b'{"prompt": "a", "sampler": "x"}', "sampler"),
        (b'{"prompt": "a", "steps": 0}', "steps"),
        (b'a\n{"prompt": "b", "scheduler": "nothing-like-it"}', "nothing-like-it"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_a_bad_file_is_refused_before_drawing(
    latentry: CommandLine, tmp_path: Path, toy: list[object], content: bytes, why: str
) -> None:
    (tmp_path / "lines").write_bytes(content)
    done = latentry("generate", "--prompts", "lines", *toy, folder=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert why in done.err
    assert "Sampling" not in done.err
    assert sorted(os.listdir(tmp_path)) == ["lines", "models"]


def test_a_prompt_and_a_file_are_too_much(latentry: CommandLine, tmp_path: Path) -> None:
    done = latentry("generate", "a", "--prompts", "lines", folder=tmp_path)
    assert (done.code, "Leave one of them out" in done.err) == (2, True)


def test_alternatives_are_chosen_by_a_seed_of_their_own(
    latentry: CommandLine, tmp_path: Path, toy: list[object]
) -> None:
    """The noise is that of the same command without them, and each picture's recipe holds what was chosen."""
    command = ["generate", "a {red|blue|green} circle", *toy, "--count", 6, "--seed", 1]
    first, again, other = (
        prompts_of(recipes(latentry(*command, "--alternatives", *seed, "--output", name, folder=tmp_path), tmp_path))
        for seed, name in ((["--wildcard-seed", 4], "x"), (["--wildcard-seed", 4], "y"), (["--wildcard-seed", 5], "z"))
    )
    assert first == again
    assert first != other
    assert set(first) <= {f"a {colour} circle" for colour in ("red", "blue", "green")}
    assert len(set(first)) > 1
    plain = latentry("generate", first[2], *toy, "--count", 6, "--seed", 1, "--output", "plain", folder=tmp_path)
    assert plain.code == 0
    with Image.open(tmp_path / "x-002.png") as one, Image.open(tmp_path / "plain-002.png") as same:
        assert np.array_equal(np.asarray(one), np.asarray(same))


def test_choices_are_even_or_as_they_are_weighted(tmp_path: Path) -> None:
    """Against the binomial distribution, at four standard deviations."""
    choose, draws = Wildcards(3, None), 4_000
    even = Counter(choose("{a|b}") for _ in range(draws))
    weighted = Counter(choose("{3::a|b}") for _ in range(draws))
    assert abs(even["a"] - draws / 2) < 4 * (draws / 4) ** 0.5
    assert abs(weighted["a"] - 0.75 * draws) < 4 * (draws * 3 / 16) ** 0.5
    nested = Counter(choose("{a|{b|c}}") for _ in range(draws))
    assert abs(nested["a"] - draws / 2) < 4 * (draws / 4) ** 0.5
    assert set(nested) == {"a", "b", "c"}


def test_wildcards_are_lines_of_files(latentry: CommandLine, tmp_path: Path, toy: list[object]) -> None:
    folder = tmp_path / "cards"
    (folder / "more").mkdir(parents=True)
    (folder / "colour.txt").write_text("# colours\nred\n\n__more/blues__\n")
    (folder / "more" / "blues.txt").write_text("navy\n{azure|teal}\n")
    command = ["generate", "a __colour__ {ring|star}", *toy, "--count", 8, "--wildcards", "cards"]
    found = prompts_of(recipes(latentry(*command, "--wildcard-seed", 1, folder=tmp_path), tmp_path))
    assert {prompt.split()[1] for prompt in found} <= {"red", "navy", "azure", "teal"}
    assert len(set(found)) > 2


@pytest.mark.parametrize(
    ("prompt", "why"),
    [
        ("a __size__", "no file size.txt"),
        ("a __../secret__", "no file ../secret.txt"),
        ("a __empty__", "has no lines"),
        ("a __loop__", "without end"),
        ("a {2$$b|c}", "not supported"),
    ],
)
def test_a_wildcard_that_cannot_be_is_refused(latentry: CommandLine, tmp_path: Path, prompt: str, why: str) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "cards"
    folder.mkdir()
    (folder / "empty.txt").touch()
    (folder / "loop.txt").write_text("__loop__ and more")
    done = latentry("generate", prompt, "--wildcards", folder, folder=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert why in done.err
    assert "Errno" not in done.err
    alone = latentry("generate", "a", "--wildcard-seed", 3, folder=tmp_path)
    assert (alone.code, "no effect without" in alone.err) == (2, True)


@pytest.mark.parametrize(
    ("prompt", "text", "told"),
    [
        ("a cat, (red:1.2) [soft] \\(x\\)", "a cat, (red:1.2) [soft] \\(x\\)", ()),
        ("sky BREAK sea", "sky, sea", ("BREAK",)),
        ("a cat AND a dog", "a cat, a dog", ("AND",)),
        ("ROCK AND ROLL", "ROCK AND ROLL", ()),
        ("a [cat:dog:0.5] in [rain:10]", "a dog in rain", ("[cat:dog:0.5]", "[rain:10]")),
        ("a [cat::5] here", "a cat here", ("[cat::5]",)),
        ("a [cat|dog] runs", "a cat runs", ("[cat|dog]",)),
        ("a <hypernet:x:1> tree", "a  tree", ("<hypernet:x:1>",)),
        ("a {cat|dog}", "a {cat|dog}", ("{cat|dog}",)),
        ("the __init__ of it", "the __init__ of it", ("__init__",)),
    ],
)
def test_foreign_syntax_is_translated_and_told(prompt: str, text: str, told: tuple[str, ...]) -> None:
    found = translate(prompt, chosen=False)
    assert found.text == text
    assert len(found.notes) == len(told)
    for sentence, words in zip(found.notes, told, strict=True):
        assert words in sentence


def test_foreign_syntax_is_never_drawn_as_words(latentry: CommandLine, tmp_path: Path, toy: list[object]) -> None:
    done = latentry("generate", "sky BREAK [sea:land:0.4]", *toy, "--negative", "a AND b", folder=tmp_path)
    (recipe,) = recipes(done, tmp_path)
    assert (recipe.request.prompt, recipe.request.negative) == ("sky, land", "a, b")
    assert all(sum(words in line for line in done.err.splitlines()) == 1 for words in ("BREAK", "[sea:land", "AND in"))


def test_words_that_change_over_the_run_are_drawn_where_asked_for(
    latentry: CommandLine, tmp_path: Path, toy: list[object]
) -> None:
    prompt = "sky BREAK [sea:land:0.4] [a|b]"
    done = latentry("generate", prompt, *toy, "--prompt-syntax", "automatic1111", folder=tmp_path)
    (recipe,) = recipes(done, tmp_path)
    assert recipe.request.prompt == "sky, [sea:land:0.4] [a|b]"
    assert recipe.request.prompt_syntax == "automatic1111"
    assert ("BREAK" in done.err, "[sea" in done.err) == (True, False)


def test_a_lora_in_the_prompt_is_a_lora_or_an_error(
    latentry: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = latentry("generate", "a <lora:ink:0.8> cat", folder=tmp_path)
    assert (missing.code, missing.out) == (2, "")
    assert "--lora PATH:0.8" in missing.err
    (tmp_path / "ink.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    found = translate("a <lora:ink:0.8>cat <lora:ink.safetensors>", chosen=True)
    assert found.text == "a cat"
    assert found.loras == (
        {"path": "ink.safetensors", "weight": 0.8},
        {"path": "ink.safetensors", "weight": 1.0},
    )
    with pytest.raises(LatentryError, match="its weight must be a number"):
        translate("<lora:ink:strong>", chosen=True)


def test_a_sheet_shows_every_picture_with_what_tells_them_apart(
    latentry: CommandLine, tmp_path: Path, toy: list[object]
) -> None:
    (tmp_path / "lines.jsonl").write_text("\n".join(json.dumps({"prompt": p}) for p in ("a red one", "a blue one")))
    command = ["generate", "--prompts", "lines.jsonl", *toy, "--seed", "1..2", "--sheet", "all.png"]
    done = latentry(*command, folder=tmp_path)
    assert done.code == 0, done.err
    with Image.open(tmp_path / "all.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    for number, name in enumerate(done.out.splitlines()):
        with Image.open(tmp_path / name) as picture:
            small = np.asarray(picture)
        assert contains(pixels, small), (number, name)
    assert latentry(*command, folder=tmp_path).code == 2  # the sheet exists, and is not overwritten
    wrong = latentry("generate", "a", *toy, "--sheet", "sheet.txt", folder=tmp_path)
    assert (wrong.code, "--sheet" in wrong.err) == (2, True)


def contains(large: np.ndarray, small: np.ndarray) -> bool:  # type: ignore[type-arg]
    """Whether a picture is within another, pixel for pixel."""
    high, wide = small.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(large[..., 0], (high, wide))
    return bool((windows == small[..., 0]).all(axis=(2, 3)).any())


def test_what_holds_for_every_seed_is_said_once(latentry: CommandLine, tmp_path: Path, shapes: Path) -> None:
    options = ("--model", shapes, "--steps", 2, "--seed", "1..3")
    done = latentry("generate", "a red circle", *options, folder=tmp_path)
    assert len(recipes(done, tmp_path)) == 3
    assert done.err.count("In so few steps") == 1
    assert done.err.count("seed ") == 3
