"""Pictures and masks in any mode that Pillow opens, as 8-bit RGB and greyscale."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from latentry._errors import OptionError
from latentry._policy import ANYTHING, Policy

Picture = Image.Image
Note = Callable[[str], None]

ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")
"""Formats whose further frames are an animation; those of others are pages, or a phone's extra pictures."""


def open_picture(name: str, file: str, note: Note, policy: Policy = ANYTHING) -> Picture:
    """The picture in a file; of an animation or of several pages the first.

    Args:
        name: the request's field, for errors.
        file: its path.
        note: called with what a user should know.
        policy: how many pixels it may have.

    Raises:
        NotAllowed: it has more pixels.
        OptionError: the file is missing or cannot be read as a picture.
    """
    path = Path(file).expanduser()
    if path.exists() and not path.is_file():
        raise OptionError(f"{file} is not a file.", remedy="Give the path of a picture.", field=name)
    try:
        with Image.open(path) as picture:
            policy.check("input_pixels", picture.width * picture.height, name)
            picture.load()
            if getattr(picture, "n_frames", 1) > 1 and picture.format in (*ANIMATED, "TIFF"):
                animated = picture.format in ANIMATED
                note(
                    f"{file} {'is animated: its first frame' if animated else 'has several pages: the first'} is used."
                )
            return ImageOps.exif_transpose(picture)  # a copy: Pillow empties a picture of several frames on closing
    except FileNotFoundError as error:
        raise OptionError(f"There is no file {file}.", remedy="Give the path of a picture.", field=name) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise OptionError(
            f"{file} cannot be read as a picture.", why=str(error), remedy="Use a PNG or JPEG file.", field=name
        ) from error


def read_image(picture: Picture, note: Note) -> Picture:
    """The picture to start from, as RGB.

    Transparent pixels become white instead of whatever colour lies under them; 16-bit and float greys are scaled to
    8 bits; CMYK goes through the file's own colour profile where it has one.

    Args:
        picture: in any mode.
        note: called with what was done that a user should know.

    Raises:
        OptionError: greys outside the range of their mode.
    """

    def on_white(layered: Picture) -> Picture:
        note("The transparent parts of the picture were filled with white.")
        white = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layered).convert("RGB")

    return _in_mode("RGB", picture, "init_image", on_white)


def read_mask(picture: Picture, note: Note) -> Picture:
    """A mask, as greyscale.

    A mask whose visible pixels all have one brightness has its shape in its alpha channel: opaque is white. Otherwise
    transparent pixels are black.

    Args:
        picture: in any mode.
        note: called with what was done that a user should know.

    Raises:
        OptionError: greys outside the range of their mode.
    """

    def from_both(layered: Picture) -> Picture:
        light, alpha = layered.convert("LA").split()
        visible = np.asarray(light)[np.asarray(alpha) > 0]
        if visible.size == 0 or visible.min() == visible.max():
            note("The mask was read from its alpha channel: opaque parts are redrawn.")
            return alpha
        return Image.composite(light, Image.new("L", light.size, 0), alpha)

    return _in_mode("L", picture, "mask", from_both)


def _in_mode(mode: str, picture: Picture, name: str, without_alpha: Callable[[Picture], Picture]) -> Picture:
    """A picture in a mode without alpha.

    Args:
        mode: RGB or L.
        picture: in any mode.
        name: the request's field, for errors.
        without_alpha: makes the mode of RGBA with transparent pixels.
    """
    picture = ImageOps.exif_transpose(picture)
    grey = _grey_of_many_bits(picture, name)
    if grey is not None:
        return grey.convert(mode)
    if picture.mode == "CMYK":
        return _from_cmyk(picture).convert(mode)
    if not picture.has_transparency_data:
        return picture.convert(mode)
    layered = picture.convert("RGBA")
    transparent = layered.getchannel("A").getextrema()[0] != 255
    return without_alpha(layered) if transparent else layered.convert(mode)


def _grey_of_many_bits(picture: Picture, name: str) -> Picture | None:
    """16-bit and float greys as 8 bits; None for all other modes, which Pillow converts rightly itself."""
    if picture.mode.startswith("I;16"):
        return _scaled(np.asarray(picture).astype(np.float64), 65535.0)
    if picture.mode == "I":  # how Pillow opens some 16-bit files
        levels = np.asarray(picture).astype(np.float64)
        _check_range(levels, 65535.0, "32-bit greys", "0 to 65535", name)
        return _scaled(levels, 65535.0)
    if picture.mode == "F":
        levels = np.asarray(picture).astype(np.float64)
        _check_range(levels, 1.0, "floating-point greys", "0 to 1", name)
        return _scaled(levels, 1.0)
    return None


def _scaled(levels: np.ndarray, white: float) -> Picture:
    return Image.fromarray(np.rint(levels * (255.0 / white)).astype(np.uint8))


def _check_range(levels: np.ndarray, white: float, kind: str, words: str, name: str) -> None:
    if levels.size and not (levels.min() >= 0.0 and levels.max() <= white):  # NaN fails too
        raise OptionError(
            f"The {name.replace('_', ' ')} has {kind} from {levels.min():g} to {levels.max():g}.",
            why=f"Which of them is white is not known; values from {words} are.",
            remedy="Save it as an 8-bit or 16-bit PNG.",
            field=name,
        )


def _from_cmyk(picture: Picture) -> Picture:
    profile = picture.info.get("icc_profile")
    if profile:
        from PIL import ImageCms

        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except ImageCms.PyCMSError:
            converted = None  # a damaged profile: the plain formula below is what other programs use as well
        if converted is not None:
            return converted
    return picture.convert("RGB")
