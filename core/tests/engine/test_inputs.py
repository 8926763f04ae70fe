"""Pictures to begin from: files, digests, and recipes that hold to them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.toy import write_toy

from latentry import Engine, GenerationRequest, OptionError, PluginHost, Recipe, RecipeError, read_recipe


def picture(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (32, 40, 3), dtype=np.uint8))


def mask() -> Image.Image:
    return Image.fromarray(np.random.default_rng(9).integers(0, 256, (32, 40), dtype=np.uint8))


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A picture and a mask as the request names them."""
    picture().save(tmp_path / "init.png")
    mask().save(tmp_path / "mask.png")
    return {"init_image": str(tmp_path / "init.png"), "mask": str(tmp_path / "mask.png")}


def request(model: str, **wanted: Any) -> GenerationRequest:
    return GenerationRequest(**({"prompt": "a", "model": model, "seed": 5, "steps": 4} | wanted))


def test_a_file_and_its_pixels_make_the_same(engine: Engine, model: str, files: dict[str, str]) -> None:
    by_name = engine.generate(request(model, **files))
    by_value = engine.generate(request(model), init_image=picture(), mask=mask())
    assert torch.equal(by_name.latents, by_value.latents)
    assert by_name.recipes[0].inputs == by_value.recipes[0].inputs
    pixels = hashlib.sha256("RGB 40×32 ".encode() + picture().tobytes()).hexdigest()
    assert by_name.recipes[0].inputs["init_image"] == pixels


def test_the_digest_is_of_the_pixels_and_not_of_the_file(engine: Engine, model: str, tmp_path: Path) -> None:
    found = set()
    for name in ("one.png", "two.bmp", "three.tiff"):
        picture().save(tmp_path / name)
        found.add(engine.prepare(request(model, init_image=str(tmp_path / name))).inputs.digests["init_image"])
    changed = picture()
    changed.putpixel((0, 0), (1, 2, 3))
    assert len(found | {engine.prepare(request(model), init_image=changed).inputs.digests["init_image"]}) == 2


def test_a_photograph_is_turned_as_it_says(engine: Engine, model: str, tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # its upper side is on the right
    picture().save(tmp_path / "turned.png", exif=turned)
    seen = engine.prepare(request(model, init_image=str(tmp_path / "turned.png"))).inputs.image
    assert seen is not None
    assert seen.size == (32, 40)
    assert seen.tobytes() == picture().transpose(Image.Transpose.ROTATE_270).tobytes()


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1"])
def test_a_picture_of_any_mode_is_taken(engine: Engine, model: str, mode: str) -> None:
    inputs = engine.prepare(request(model), init_image=picture().convert(mode), mask=mask().convert(mode)).inputs
    assert inputs.image is not None
    assert inputs.mask is not None
    assert (inputs.image.mode, inputs.mask.mode) == ("RGB", "L")


@pytest.mark.parametrize("name", ["init_image", "mask"])
@pytest.mark.parametrize(
    ("content", "message"), [(None, "There is no file"), (b"no picture", "cannot be read as a picture")]
)
def test_a_file_that_is_not_a_picture_is_refused_before_loading(
    host: PluginHost, tmp_path: Path, files: dict[str, str], name: str, content: bytes | None, message: str
) -> None:
    model = str(write_toy(tmp_path / "model", fails="loading"))
    wrong = tmp_path / "wrong.png"
    if content is not None:
        wrong.write_bytes(content)
    with pytest.raises(OptionError, match=message) as caught:
        Engine(host).generate(request(model, **(files | {name: str(wrong)})))
    assert str(wrong) in str(caught.value)
    assert caught.value.field == name


def test_a_picture_cut_short_is_refused(engine: Engine, model: str, files: dict[str, str]) -> None:
    file = Path(files["init_image"])
    file.write_bytes(file.read_bytes()[:-400])
    with pytest.raises(OptionError, match="cannot be read as a picture"):
        engine.generate(request(model, init_image=str(file)))


def made(engine: Engine, model: str, tmp_path: Path, **wanted: Any) -> tuple[Recipe, torch.Tensor]:
    """A recipe as it is read from the file, and the latents it belongs to."""
    result = engine.generate(request(model, **wanted))
    (path,) = result.save(tmp_path / "out.png")
    return read_recipe(path), result.latents


def test_a_picture_from_a_picture_is_made_again(
    engine: Engine, model: str, files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = {name: Path(file).name for name, file in files.items()}
    for wanted in ({"strength": 0.5}, {"strength": 0.5, "strength_mode": "full"}, {"width": 64, "height": 64}):
        recipe, latents = made(engine, model, tmp_path, **names, **wanted)
        assert recipe.request.init_image == files["init_image"]
        monkeypatch.chdir("/")
        again = engine.reproduce(recipe)
        assert torch.equal(again.latents, latents)
        assert again.recipes == (recipe,)
        monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["init_image", "mask"])
def test_a_picture_that_was_replaced_is_noticed(
    engine: Engine, model: str, files: dict[str, str], tmp_path: Path, name: str
) -> None:
    recipe, _ = made(engine, model, tmp_path, **files)
    before = engine.reproduce(recipe).images[0].tobytes()
    picture(7).save(files[name])
    with pytest.raises(RecipeError, match=f"{name.replace('_', ' ')} is not the one") as caught:
        engine.reproduce(recipe)
    assert recipe.inputs[name] in caught.value.why
    assert engine.reproduce(recipe, anyway=True).images[0].tobytes() != before
    moved = {"init_image": picture(), "mask": mask()}[name]
    assert engine.reproduce(recipe, **{name: moved}).images[0].tobytes() == before


def test_a_picture_that_a_program_gave_has_to_be_given_again(engine: Engine, model: str, tmp_path: Path) -> None:
    result = engine.generate(request(model), init_image=picture())
    (path,) = result.save(tmp_path / "out.png")
    recipe = read_recipe(path)
    assert recipe.request.init_image is None
    for anyway in (False, True):
        with pytest.raises(RecipeError, match="does not name a file") as caught:
            engine.reproduce(recipe, anyway=anyway)
        assert caught.value.field == "init_image"
    assert torch.equal(engine.reproduce(recipe, init_image=picture()).latents, result.latents)
    with pytest.raises(RecipeError, match="not the one"):
        engine.reproduce(recipe, init_image=picture(3))


def test_a_recipe_from_before_pictures_is_understood(engine: Engine, model: str) -> None:
    recipe = engine.generate(request(model)).recipes[0]
    old = recipe.model_dump(exclude={"inputs"})
    assert Recipe.model_validate(old) == recipe
