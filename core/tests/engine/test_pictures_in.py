"""Pictures and masks in every mode that people have: the right reading, or one clear sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from latentry import Engine, GenerationRequest, OptionError

RAMP = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))
"""32 greys from left to right."""


def ask(engine: Engine, model: str, **files: Path) -> Any:
    return engine.prepare(
        GenerationRequest(prompt="a", model=model, **{name: str(file) for name, file in files.items()})
    )


def image_of(engine: Engine, model: str, file: Path) -> np.ndarray:
    return np.asarray(ask(engine, model, init_image=file).inputs.image)


def mask_of(engine: Engine, model: str, folder: Path, file: Path) -> np.ndarray:
    Image.new("RGB", (32, 32)).save(folder / "picture.png")
    return np.asarray(ask(engine, model, init_image=folder / "picture.png", mask=file).inputs.mask)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bit_greys_keep_their_range(engine: Engine, model: str, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"deep.{suffix}"
    Image.fromarray(RAMP.astype(np.uint16) * 257).save(file)
    assert np.array_equal(image_of(engine, model, file), np.repeat(RAMP[..., None], 3, 2))
    assert np.array_equal(mask_of(engine, model, tmp_path, file), RAMP)


def test_float_greys_between_0_and_1_are_read(engine: Engine, model: str, tmp_path: Path) -> None:
    file = tmp_path / "float.tiff"
    Image.fromarray(RAMP.astype(np.float32) / 255).save(file)
    assert np.array_equal(image_of(engine, model, file)[..., 0], RAMP)
    assert np.array_equal(mask_of(engine, model, tmp_path, file), RAMP)


@pytest.mark.parametrize("worst", [2.0, -0.1, np.nan])
def test_float_greys_of_another_range_are_refused(engine: Engine, model: str, tmp_path: Path, worst: float) -> None:
    levels = RAMP.astype(np.float32) / 255
    levels[3, 3] = worst
    Image.fromarray(levels).save(tmp_path / "float.tiff")
    with pytest.raises(OptionError, match="init image has floating-point greys") as caught:
        image_of(engine, model, tmp_path / "float.tiff")
    assert (caught.value.field, "8-bit" in caught.value.remedy) == ("init_image", True)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB with a transparent colour"])
def test_the_hidden_colour_of_transparent_pixels_does_not_show(
    engine: Engine, model: str, tmp_path: Path, mode: str
) -> None:
    """Green lies under the left half, which is transparent; the right half is red (or grey)."""
    file, about = tmp_path / "hidden.png", {}
    picture = Image.new("RGBA", (32, 32), (0, 255, 0, 0))
    picture.paste((255, 0, 0, 255), (16, 0, 32, 32))
    if mode == "P":
        flat = Image.new("P", (32, 32), 0)
        flat.putpalette([0, 255, 0, 255, 0, 0])
        flat.paste(1, (16, 0, 32, 32))
        picture, about = flat, {"transparency": 0}
    elif mode.startswith("RGB "):
        picture, about = picture.convert("RGB"), {"transparency": (0, 255, 0)}
    else:
        picture = picture.convert(mode)
    picture.save(file, **about)
    found = image_of(engine, model, file)
    assert (found[:, :16] == 255).all()
    assert not (found[:, 16:] == 255).all()
    assert "The transparent parts of the picture were filled with white." in ask(engine, model, init_image=file).notes


def test_an_opaque_alpha_channel_changes_nothing(engine: Engine, model: str, tmp_path: Path) -> None:
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    picture.save(tmp_path / "plain.png")
    picture.convert("RGBA").save(tmp_path / "opaque.png")
    plain, opaque = (ask(engine, model, init_image=tmp_path / name) for name in ("plain.png", "opaque.png"))
    assert plain.inputs.digests == opaque.inputs.digests
    assert not any("transparent" in note for note in opaque.notes)


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (10, 200, 30)])
@pytest.mark.parametrize("hidden", [(255, 255, 255), (0, 0, 0)])
def test_a_mask_whose_shape_is_in_its_alpha_is_read_from_there(
    engine: Engine, model: str, tmp_path: Path, colour: tuple[int, ...], hidden: tuple[int, ...]
) -> None:
    mask = Image.new("RGBA", (32, 32), (*hidden, 0))
    mask.paste((*colour, 255), (4, 4, 20, 20))
    mask.save(tmp_path / "mask.png")
    found = mask_of(engine, model, tmp_path, tmp_path / "mask.png")
    expected = np.zeros((32, 32), dtype=np.uint8)
    expected[4:20, 4:20] = 255
    assert np.array_equal(found, expected)


def test_a_mask_with_a_shape_in_its_greys_keeps_it(engine: Engine, model: str, tmp_path: Path) -> None:
    """White and black are visible, and what is transparent is kept, whatever colour it hides."""
    mask = Image.new("LA", (32, 32), (255, 0))
    mask.paste((255, 255), (0, 0, 8, 32))
    mask.paste((0, 255), (8, 0, 16, 32))
    mask.save(tmp_path / "mask.png")
    found = mask_of(engine, model, tmp_path, tmp_path / "mask.png")
    assert (found[:, :8] == 255).all()
    assert (found[:, 8:] == 0).all()


def test_cmyk_is_converted(engine: Engine, model: str, tmp_path: Path) -> None:
    Image.new("CMYK", (32, 32), (0, 255, 255, 0)).save(tmp_path / "ink.tiff")
    red = image_of(engine, model, tmp_path / "ink.tiff")[0, 0]
    assert red[0] > 200
    assert max(red[1], red[2]) < 60


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_of_an_animation_the_first_frame_is_used(engine: Engine, model: str, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"moving.{suffix}"
    frames = [Image.new("RGB", (32, 32), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    frames[0].save(file, save_all=True, append_images=frames[1:], **({"lossless": True} if suffix == "webp" else {}))
    assert tuple(image_of(engine, model, file)[5, 5]) == (255, 0, 0)
    assert f"{file} is animated: its first frame is used." in ask(engine, model, init_image=file).notes


def test_of_several_pages_the_first_is_used(engine: Engine, model: str, tmp_path: Path) -> None:
    pages = [Image.new("L", (32, 32), level) for level in (10, 200)]
    pages[0].save(tmp_path / "pages.tiff", save_all=True, append_images=pages[1:])
    assert image_of(engine, model, tmp_path / "pages.tiff")[0, 0, 0] == 10
    assert any("several pages" in note for note in ask(engine, model, init_image=tmp_path / "pages.tiff").notes)


STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera that writes this orientation stores an upright picture (Exif 2.32, tag 0x0112)."""


@pytest.mark.parametrize("orientation", STORED)
def test_exif_rotation_applies_to_picture_and_mask(
    engine: Engine, model: str, tmp_path: Path, orientation: int
) -> None:
    exif, upright, method = Image.Exif(), np.zeros((32, 40), dtype=np.uint8), STORED[orientation]
    exif[0x0112] = orientation
    upright[:8, :16] = 255
    stored = Image.fromarray(upright)
    stored = stored if method is None else stored.transpose(method)
    stored.save(tmp_path / "turned.png", exif=exif)
    setup = ask(engine, model, init_image=tmp_path / "turned.png", mask=tmp_path / "turned.png")
    assert np.array_equal(np.asarray(setup.inputs.mask), upright)
    assert np.array_equal(np.asarray(setup.inputs.image)[..., 0], upright)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["a folder", "text", "a cut PNG", "a long text chunk"])
def test_a_file_that_cannot_be_read_is_one_clear_sentence(
    engine: Engine, model: str, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "file.png"
    if kind == "a folder":
        file.mkdir()
    elif kind == "text":
        file.write_text("not a picture")
    elif kind == "a cut PNG":
        Image.fromarray(RAMP).save(file)
        file.write_bytes(file.read_bytes()[:-30])
    else:
        about = PngInfo()
        about.add_text("long", "a" * 80_000_000, zip=True)
        Image.fromarray(RAMP).save(file, pnginfo=about)
    with pytest.raises(OptionError, match=r"is not a file|cannot be read as a picture") as caught:
        image_of(engine, model, file)
    assert caught.value.field == "init_image"
