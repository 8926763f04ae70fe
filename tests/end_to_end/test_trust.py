"""``--from`` opens what the user names and what lies in the folder, and nothing else on a picture's word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from support.commandline import CommandLine, Done
from support.toy import PLUGIN, write_toy

from latentry import read_recipe

NOWHERE = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"}
"""An address at which nobody answers: asking it is an error of its own."""


@pytest.fixture
def drawn(latentry: CommandLine, tmp_path: Path) -> tuple[Path, Path]:
    """A folder with a picture, drawn by a model that lies elsewhere."""
    model = write_toy(tmp_path / "elsewhere" / "model")
    here = tmp_path / "here"
    here.mkdir()
    done = latentry("generate", "a", "-q", "--model", model, "--plugin-dir", PLUGIN, "--seed", 1, folder=here)
    assert done.code == 0, done.err
    return here, model


def rewritten(picture: Path, **fields: Any) -> Path:
    """The picture with other values in its request."""
    recipe = json.loads(read_recipe(picture).model_dump_json())
    recipe["request"].update(fields)
    about = PngInfo()
    about.add_itxt("latentry", json.dumps(recipe))
    path = picture.with_name("rewritten.png")
    with Image.open(picture) as opened:
        opened.save(path, pnginfo=about)
    return path


def again(latentry: CommandLine, here: Path, picture: Path, *options: object, **environment: str) -> Done:
    command = ("generate", "--from", picture, "-q", "--output", "again.png", "--plugin-dir", PLUGIN, *options)
    return latentry(*command, folder=here, environment=environment)


def test_a_model_elsewhere_is_named_again_or_trusted(latentry: CommandLine, drawn: tuple[Path, Path]) -> None:
    here, model = drawn
    refused = again(latentry, here, here / "picture.png")
    assert refused.code == 2
    assert f"'{model}' may not be opened here" in refused.err
    assert "with --model" in refused.err
    assert "--trust, which opens every file" in refused.err
    assert not (here / "again.png").exists()
    for options in (["--model", model], ["--trust"]):
        done = again(latentry, here, here / "picture.png", *options)
        assert done.code == 0, done.err
        assert (here / "again.png").read_bytes() == (here / "picture.png").read_bytes()
        (here / "again.png").unlink()


def test_a_model_in_this_folder_needs_neither(latentry: CommandLine, drawn: tuple[Path, Path]) -> None:
    here, model = drawn
    model.rename(here / "model")
    done = again(latentry, here, rewritten(here / "picture.png", model="model"))
    assert done.code == 0, done.err


OPENED = ["init_image", "mask", "vae", "tokenizer", "config", "refiner", "guidance_model", "loras", "embeddings"]


@pytest.mark.parametrize("field", OPENED)
def test_no_other_file_is_opened_on_the_pictures_word(
    latentry: CommandLine, drawn: tuple[Path, Path], field: str
) -> None:
    here, model = drawn
    secret = str(here.parent / "secret")
    Path(secret).mkdir()
    value = [{"path": secret}] if field in ("loras", "embeddings") else secret
    asking = {"guidance_method": "autoguidance"} if field == "guidance_model" else {}
    done = again(latentry, here, rewritten(here / "picture.png", **{field: value}, **asking), "--model", model)
    assert done.code == 2
    assert "may not be opened here" in done.err, done.err
    assert "--trust" in done.err


def test_the_hub_is_not_asked_on_the_pictures_word(latentry: CommandLine, drawn: tuple[Path, Path]) -> None:
    here, _ = drawn
    done = again(latentry, here, rewritten(here / "picture.png", model="someone/tracker"), **NOWHERE)
    assert done.code == 2
    assert "is not on this machine" in done.err, done.err
    assert "--trust" in done.err


def test_trust_without_a_picture_is_refused(latentry: CommandLine, tmp_path: Path) -> None:
    done = latentry("generate", "a", "--trust", folder=tmp_path)
    assert (done.code, done.err) == (2, "error: --trust: it has no effect without --from.\n")
