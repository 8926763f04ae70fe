"""Any arguments, any files, any JSON: exit codes 0, 1, 2 and 130, one message, and never a traceback.

``FUZZ_EXAMPLES=20000`` asks for a long run with fresh examples; the suite draws a few, always the same.
"""

from __future__ import annotations

import io
import json
import os
import struct
import zlib
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import ValidationError

from latentry import GenerationRequest, Recipe, RecipeError, read_recipe
from latentry._cli import main
from latentry._cli._app import COMMANDS, app

pytestmark = pytest.mark.slow  # many that add up

LONG = "FUZZ_EXAMPLES" in os.environ
FUZZ = settings(
    derandomize=not LONG,
    database=None,
    deadline=None,
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "40")),
    suppress_health_check=list(HealthCheck),
)
ANY = st.text(st.characters(exclude_categories=()), max_size=12)
"""Text with anything in it: lone surrogates, null characters, escapes."""
NASTY = [
    *("", " ", "-", "--", ".", "..", "/", "~nosuch/x", "./absent/x.safetensors", "owner/name", "a.png", "picture.jpg"),
    *("0", "-1", "1e308", "1e999", "nan", "-inf", str(10**18), "9" * 5000, "٣", "²", "0x10", "1_000", "1.5", "true"),
    *("\udcff", "\0", "a\0b", "\x1b[31m", "\u202e", "🙂", "x" * 300),
    *("=", "a=", "=b", "a=1e999", "a=NaN", "a=" + "[" * 3000, 'a={"b": "\\ud800"}', "vae=float32", "vae=float9"),
    *(":", "x:nan", "file:1e30", "0.2,0.8", "0.8,0.2", ",", "1,2", "3,1,0", "karras", "ddim", "uni_pc", "DPM++ 2M"),
    *("pipe", "folder", "empty", "noise", "plain.png", "recipe.png", "/dev/null"),
]
VALUES = st.sampled_from(NASTY) | ANY.map(lambda text: text.replace("/", "_"))


def options(command: str) -> list[click.Option]:
    """Every option of a command, those that are made of fields included."""
    context = click.Context(app)
    found = app.get_command(context, command)
    assert found is not None
    own = found.get_params(click.Context(found))
    return [option for option in own if isinstance(option, click.Option) and "--verbose" not in option.opts]


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """A command with options of its own and values of any kind, sometimes in disorder."""
    command = draw(st.sampled_from(sorted(COMMANDS)))
    words = [command]
    if command == "check" or draw(st.booleans()):
        words.append(draw(VALUES) or "nothing")
    for option in draw(st.lists(st.sampled_from(options(command)), max_size=4)):
        words.append(draw(st.sampled_from(option.opts)))
        words += [] if option.is_flag else [draw(VALUES)]
    if draw(st.integers(0, 9)) == 0:
        words.insert(draw(st.integers(0, len(words))), draw(VALUES))
    if words[0] == "check" and "ddim" in words:  # a real check takes a minute
        words.remove("ddim")
    return words


def run(arguments: Sequence[str]) -> tuple[int, str, str]:
    """A command in this process, with outputs as strict as a terminal's."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with redirect_stdout(out), redirect_stderr(err):
        code = main(arguments)
        out.flush()
        err.flush()
    return code, out.buffer.getvalue().decode(), err.buffer.getvalue().decode()  # type: ignore[attr-defined]


def assert_ends_well(arguments: Sequence[str]) -> None:
    """What holds for every command line."""
    code, out, err = run(arguments)
    assert code in (0, 1, 2), (arguments, err)
    assert "Traceback" not in err, (arguments, err)
    assert "Unexpected" not in err, (arguments, err)
    assert not any(letter in out + err for letter in "\x1b\0\u202e"), (arguments, out, err)
    if code == 2:
        assert out == "", (arguments, out)
        assert err.count("error: ") >= 1, (arguments, err)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files of every kind that is not a model."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "folder").mkdir()
    (folder / "empty").touch()
    (folder / "noise").write_bytes(os.urandom(64))
    Image.new("RGB", (8, 8)).save(folder / "plain.png")
    (folder / "recipe.png").write_bytes(with_text(json.dumps(RECIPE)))
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe")
    return folder


@pytest.fixture(autouse=True)
def in_place(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run there, with no model and no network to be found."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("LATENTRY_PLUGINS", "latentry,latentry-ddim,latentry-sd")
    monkeypatch.delenv("LATENTRY_DEBUG", raising=False)


@FUZZ
@given(command_lines())
def test_any_arguments(arguments: list[str]) -> None:
    assert_ends_well(arguments)


@pytest.mark.parametrize(
    "command", ["show", "inspect", "generate --from", "generate a --init-image", "generate a --mask"]
)
@pytest.mark.parametrize("value", [value for value in NASTY if value and value != "--"])
def test_any_path(command: str, value: str) -> None:
    assert_ends_well([*command.split(), value])


RECIPE: dict[str, Any] = json.loads(
    Recipe(
        request=GenerationRequest(prompt="a", seed=1, steps=2, scheduler="latentry-ddim:ddim", width=64, height=64),
        index=0,
        plugins={"scheduler": {"name": "latentry-ddim:ddim", "distribution": "latentry-ddim", "version": "0.1.0"}},
        core="0.1.0",
        model="0" * 16,
        environment={"torch": "2"},
    ).model_dump_json()
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY | st.sampled_from(NASTY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3),
    max_leaves=6,
)


def with_text(text: str) -> bytes:
    """A PNG file with a recipe; the text may be anything."""
    about, file = PngInfo(), io.BytesIO()
    about.add_itxt("latentry", text.encode("utf-8", "replace").decode())
    Image.new("RGB", (4, 4)).save(file, format="PNG", pnginfo=about)
    return file.getvalue()


@st.composite
def recipes(draw: st.DrawFn) -> str:
    """A recipe with one value replaced, or left out."""
    recipe = json.loads(json.dumps(RECIPE))
    inside = draw(st.sampled_from(["request", "plugins", "environment", ""]))
    part = recipe[inside] if inside else recipe
    name = draw(st.sampled_from(sorted(part)) | ANY)
    if draw(st.booleans()):
        part.pop(name, None)
    else:
        part[name] = draw(JSON)
    return json.dumps(recipe)


@FUZZ
@given(recipes() | ANY)
def test_any_recipe(place: Path, text: str) -> None:
    (place / "any.png").write_bytes(with_text(text))
    assert_ends_well(["show", "any.png"])
    assert_ends_well(["generate", "--from", "any.png", "--output", "again.png"])


@FUZZ
@given(st.binary(max_size=200), st.integers(0, 200), st.binary(max_size=8))
def test_any_bytes(place: Path, content: bytes, at: int, patch: bytes) -> None:
    picture = (place / "recipe.png").read_bytes()
    (place / "damaged.png").write_bytes(picture[:at] + patch + picture[at + len(patch) :])
    (place / "bytes").write_bytes(content)
    for name in ("damaged.png", "bytes"):
        assert_ends_well(["show", name])
        assert_ends_well(["inspect", name])


@FUZZ
@given(st.dictionaries(st.sampled_from([*GenerationRequest.model_fields, "style"]), JSON, max_size=4))
def test_any_request(fields: dict[str, Any]) -> None:
    try:
        request = GenerationRequest(**{"prompt": "a", **fields})
    except ValidationError:
        return
    assert GenerationRequest.model_validate_json(request.model_dump_json()) == request


def test_a_text_that_unpacks_to_gigabytes(tmp_path: Path) -> None:
    packed = b"latentry\0\1\0\0\0" + zlib.compress(b"[" * 2**27, 9)
    chunk = struct.pack(">I", len(packed)) + b"iTXt" + packed + struct.pack(">I", zlib.crc32(b"iTXt" + packed))
    plain = with_text("")
    (tmp_path / "bomb.png").write_bytes(plain[:33] + chunk + plain[33:])
    with pytest.raises(RecipeError):
        read_recipe(tmp_path / "bomb.png")
    assert_ends_well(["show", str(tmp_path / "bomb.png")])
