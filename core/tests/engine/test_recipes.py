"""Making a picture again, or saying why that cannot be."""

from __future__ import annotations

import json
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from support.toy import write_toy
from torch import Tensor

from latentry import (
    Engine,
    GenerationRequest,
    KeyedNoise,
    OptionError,
    PluginHost,
    Recipe,
    RecipeError,
    read_recipe,
)
from latentry._request._recipe import UsedPlugin, save_picture


def made(engine: Engine, model: str, **wanted: Any) -> tuple[Recipe, ...]:
    settings = {"prompt": "a", "model": model, "seed": 5, "count": 5, "batch": 2} | wanted
    return engine.generate(GenerationRequest(**settings)).recipes


@pytest.mark.parametrize("scheduler", ["first", "noisy", "halving"])
@pytest.mark.parametrize("index", [0, 1, 3, 4])
def test_a_picture_is_made_again_bit_for_bit(engine: Engine, model: str, scheduler: str, index: int) -> None:
    batch = 4 if scheduler == "halving" else 2  # it draws one at a time, whatever the default says
    wanted = GenerationRequest(prompt="a", model=model, seed=5, count=5, batch=batch, scheduler=scheduler)
    result = engine.generate(wanted)
    recipe = Recipe.model_validate_json(result.recipes[index].model_dump_json())
    again = engine.reproduce(recipe)
    assert torch.equal(again.latents[0], result.latents[index])
    assert again.images[0].tobytes() == result.images[index].tobytes()
    assert again.recipes == (result.recipes[index],)
    assert len(again.images) == 1


def test_only_the_batch_of_the_picture_is_sampled(engine: Engine, model: str) -> None:
    recipe = made(engine, model)[3]
    loaded: Any = engine.load(engine.prepare(recipe.request))
    loaded.calls.clear()
    engine.reproduce(recipe)
    assert {rows for rows, _ in loaded.calls} == {4}  # two pictures, with and without guidance
    assert len(loaded.calls) == 6


def test_an_installed_plugin_does_not_change_an_old_picture(engine: Engine, model: str) -> None:
    """Attention that came later is not taken, though ``auto`` would."""
    (recipe,) = made(engine, model, attention="native", count=1)
    loaded: Any = engine.load(engine.prepare(recipe.request))
    loaded.backends.clear()
    engine.reproduce(recipe)
    assert loaded.backends == [None]


def test_a_missing_plugin_is_named_with_its_version(engine: Engine, model: str) -> None:
    (recipe,) = made(engine, model, count=1)
    used = recipe.plugins["scheduler"].model_copy(
        update={"name": "latentry-absent:absent", "distribution": "latentry-absent", "version": "1.2.3"}
    )
    changed = recipe.model_copy(update={"plugins": {**recipe.plugins, "scheduler": used}})
    with pytest.raises(RecipeError, match="cannot be made again") as caught:
        engine.reproduce(changed)
    assert "The scheduler latentry-absent:absent is missing: install latentry-absent==1.2.3" in caught.value.why


def test_a_missing_loose_plugin_is_named_with_its_path(engine: Engine, model: str) -> None:
    (recipe,) = made(engine, model, count=1)
    bare = Engine(PluginHost(load=("latentry",)))
    with pytest.raises(RecipeError) as caught:
        bare.reproduce(recipe)
    assert "toy:first is missing: load the plugin" in caught.value.why
    assert "family toy:toy-vp is missing" in caught.value.why


@pytest.mark.parametrize(("then", "side"), [("0.0.9", "newer"), ("99.0", "older"), ("0.1.0.1", "older")])
def test_another_version_is_named_with_its_side(engine: Engine, model: str, then: str, side: str) -> None:
    (recipe,) = made(engine, model, count=1)
    used = recipe.plugins["sigmas"].model_copy(update={"version": then})
    changed = recipe.model_copy(update={"plugins": {**recipe.plugins, "sigmas": used}})
    with pytest.raises(RecipeError) as caught:
        engine.reproduce(changed)
    assert f"The sigmas latentry:trailing is {side} here" in caught.value.why
    assert f"install latentry=={then}" in caught.value.why
    assert "continue anyway" in caught.value.remedy
    assert torch.equal(engine.reproduce(changed, anyway=True).latents, engine.reproduce(recipe).latents)


@pytest.mark.parametrize(("then", "side"), [("0.0.9", "newer"), ("99.0", "older")])
def test_another_core_is_named_with_its_side(engine: Engine, model: str, then: str, side: str) -> None:
    (recipe,) = made(engine, model, count=1)
    with pytest.raises(RecipeError) as caught:
        engine.reproduce(recipe.model_copy(update={"core": then}))
    assert f"The core is {side} here" in caught.value.why
    assert f"install latentry=={then}" in caught.value.why


def own_latents(engine: Engine, request: GenerationRequest) -> Tensor:
    shape = engine.prepare(request).latent_shape
    return torch.randn((len(request.prompts), *shape), generator=torch.Generator().manual_seed(8))


def test_start_noise_that_a_program_gave_has_to_be_given_again(engine: Engine, model: str) -> None:
    request = GenerationRequest(prompt="a", model=model, seed=5, count=3, batch=2)
    latents = own_latents(engine, request)
    result = engine.generate(request, latents=latents)
    recipe = Recipe.model_validate_json(result.recipes[1].model_dump_json())
    for anyway in (False, True):
        with pytest.raises(RecipeError, match="initial noise that a program gave") as caught:
            engine.reproduce(recipe, anyway=anyway)
        assert "latents=" in caught.value.remedy
    again = engine.reproduce(recipe, latents=latents.clone())
    assert torch.equal(again.latents[0], result.latents[1])
    assert again.recipes == (recipe,)
    one_off = latents.clone()
    one_off[1] += 1
    for other in (one_off, latents.double()):
        with pytest.raises(RecipeError, match="The initial noise is not the one"):
            engine.reproduce(recipe, latents=other)
    with pytest.raises(OptionError, match="The initial latents have shape"):
        engine.reproduce(recipe, latents=latents[:1])


def test_start_noise_for_a_picture_that_had_none_is_noticed(engine: Engine, model: str) -> None:
    (recipe,) = made(engine, model, count=1)
    with pytest.raises(RecipeError, match="it was none"):
        engine.reproduce(recipe, latents=own_latents(engine, recipe.request))


def test_draws_that_a_program_gave_have_to_be_given_again(engine: Engine, model: str) -> None:
    request = GenerationRequest(prompt="a", model=model, seed=5, scheduler="noisy")
    draws = KeyedNoise(77, [0])
    result = engine.generate(request, noise=draws)
    with pytest.raises(RecipeError, match="noise source that a program gave"):
        engine.reproduce(result.recipes[0])
    assert torch.equal(engine.reproduce(result.recipes[0], noise=draws).latents, result.latents)


def test_a_role_from_the_future_is_missing(engine: Engine, model: str) -> None:
    (recipe,) = made(engine, model, count=1)
    changed = recipe.model_copy(update={"plugins": {**recipe.plugins, "telepathy": recipe.plugins["family"]}})
    with pytest.raises(RecipeError, match="The telepathy toy:toy-vp is missing"):
        engine.reproduce(changed)


def test_a_checkpoint_that_was_replaced_is_noticed(engine: Engine, model: str) -> None:
    (recipe,) = made(engine, model, count=1)
    write_toy(Path(model), remark="another")
    with pytest.raises(RecipeError, match="not the one that the picture was made with") as caught:
        engine.reproduce(recipe)
    assert recipe.model in caught.value.why
    assert len(engine.reproduce(recipe, anyway=True).images) == 1


def test_infinite_options_survive_the_picture(engine: Engine, model: str, tmp_path: Path) -> None:
    result = engine.generate(
        GenerationRequest(prompt="a", model=model, scheduler="halving", scheduler_options={"least": math.inf}, seed=1)
    )
    (path,) = result.save(tmp_path / "one.png")
    recipe = read_recipe(path)
    assert recipe.request.scheduler_options == {"least": math.inf}
    assert torch.equal(engine.reproduce(recipe).latents, result.latents)


def picture(path: Path, text: str | None) -> Path:
    about = PngInfo()
    if text is not None:
        about.add_itxt("latentry", text)
    Image.new("RGB", (8, 8)).save(path, pnginfo=about)
    return path


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="There is no file"):
        read_recipe(tmp_path / "absent.png")


def test_a_file_that_is_not_a_picture(tmp_path: Path) -> None:
    (tmp_path / "no.png").write_text("no picture")
    with pytest.raises(RecipeError, match="cannot be read as a picture"):
        read_recipe(tmp_path / "no.png")
    with pytest.raises(RecipeError, match="is not a regular file"):
        read_recipe(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RecipeError, match="is not a regular file"):
        read_recipe(tmp_path / "pipe")


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000])
def test_a_path_that_no_file_can_have(name: str) -> None:
    with pytest.raises(RecipeError, match=r"cannot be opened|There is no file"):
        read_recipe(name)


def test_a_picture_cut_short(engine: Engine, model: str, tmp_path: Path) -> None:
    (path,) = engine.generate(GenerationRequest(prompt="a", model=model)).save(tmp_path / "one.png")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(RecipeError, match="cannot be read as a picture"):
        read_recipe(path)


def test_a_picture_without_a_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="has no recipe"):
        read_recipe(picture(tmp_path / "plain.png", None))


@pytest.mark.parametrize("text", ["", "no json", "[]", "{}", '{"request": 3}'])
def test_a_recipe_that_is_not_valid(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecipeError, match=r"cannot be read|has no recipe"):
        read_recipe(picture(tmp_path / "odd.png", text))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(*chunks: bytes, width: int = 1, height: int = 1) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 4))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + chunk(b"IEND", b"")


HOSTILE = {
    "a text that unpacks to more than Pillow allows": png(
        chunk(b"iTXt", b"latentry\0\1\0\0\0" + zlib.compress(b" " * 2**27, 9))
    ),
    "more pixels than Pillow allows": png(width=60_000, height=60_000),
    "a text chunk that is cut short": png(chunk(b"iTXt", b"latentry")),
    "no pixels": png(width=0, height=0),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_picture_is_refused(tmp_path: Path, what: str) -> None:
    (tmp_path / "hostile.png").write_bytes(HOSTILE[what])
    with pytest.raises(RecipeError):
        read_recipe(tmp_path / "hostile.png")


def test_an_index_beyond_the_requests_pictures_is_refused(engine: Engine, model: str, tmp_path: Path) -> None:
    (recipe,) = made(engine, model, count=1)
    text = json.dumps({**json.loads(recipe.model_dump_json()), "index": 1})
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(picture(tmp_path / "odd.png", text))


@pytest.mark.parametrize(
    ("then", "words"),
    [
        ("0.1.²", "different here"),
        ("9!1.0", "older here"),
        ("0.0.1.dev3+local", "newer here"),
        ("1.0\n&& evil", "different here"),
    ],
)
def test_any_text_can_stand_for_a_version(engine: Engine, host: PluginHost, model: str, then: str, words: str) -> None:
    (recipe,) = made(engine, model, count=1)
    (obstacle, *_) = recipe.model_copy(update={"core": then}).obstacles(host)
    assert words in obstacle
    assert "evil" not in obstacle.partition(": ")[2]


@pytest.mark.parametrize(
    ("distribution", "version", "command"),
    [
        ("latentry-ddim", "0.1.0", "install latentry-ddim==0.1.0"),
        ("Latentry.DDIM_2", "1.0rc1", "install Latentry.DDIM_2==1.0rc1"),
        ("evil; rm -rf ~", "1.0", ""),
        ("-r", "1.0", ""),
        ("evil", "1.0; rm -rf ~", ""),
        ("evil\n", "1.0", ""),
        ("", "1.0", ""),
    ],
)
def test_only_a_name_and_a_version_become_a_command(distribution: str, version: str, command: str) -> None:
    remedy = UsedPlugin(name="a:b", distribution=distribution, version=version).remedy
    assert remedy == command or (not command and "pip" not in remedy)


def test_the_path_of_a_loose_plugin_is_quoted() -> None:
    loose = UsedPlugin(name="a:b", distribution="/tmp/my plugin; ls", version="unversioned")
    assert loose.remedy == "load the plugin '/tmp/my plugin; ls'"


def test_a_recipe_of_a_newer_version_is_not_half_understood(engine: Engine, model: str, tmp_path: Path) -> None:
    (recipe,) = made(engine, model, count=1)
    text = recipe.model_dump_json().replace('"prompt":', '"style":"new","prompt":', 1)
    with pytest.raises(RecipeError, match="may come from another version") as caught:
        read_recipe(picture(tmp_path / "newer.png", text))
    assert "Upgrade" in caught.value.remedy


def test_a_picture_is_replaced_in_one_go(engine: Engine, model: str, tmp_path: Path) -> None:
    (recipe,) = made(engine, model, count=1)
    path = picture(tmp_path / "one.png", None)
    save_picture(Image.new("RGB", (4, 4)), path, recipe)
    assert read_recipe(path) == recipe
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["one.png"]


@pytest.mark.parametrize("role", ["scheduler", "sigmas", "guidance"])
def test_a_record_with_another_revision_draws_differently(
    engine: Engine, host: PluginHost, role: str, model: str
) -> None:
    (recipe,) = made(engine, model, count=1, guidance_method="carrying")
    used = recipe.plugins[role]
    assert used.revision == 1
    assert recipe.obstacles(host) == ()
    for then in (2, 0):
        other = recipe.model_copy(
            update={"plugins": {**recipe.plugins, role: used.model_copy(update={"revision": then})}}
        )
        assert other.obstacles(host) == (f"The {role} {used.name} draws differently here (revision 1, then {then})",)
        with pytest.raises(RecipeError, match="draws differently"):
            engine.reproduce(other)
    before = used.model_copy(update={"revision": None})  # recipes from before the record had one
    assert recipe.model_copy(update={"plugins": {**recipe.plugins, role: before}}).obstacles(host) == ()
