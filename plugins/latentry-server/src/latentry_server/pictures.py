"""Pictures in requests and answers."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, UnidentifiedImageError

from latentry import NotAllowed, OptionError, Policy, Recipe

READ = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
"""Formats that are read of what clients send; others' decoders are not given strangers' bytes."""


@dataclass(frozen=True)
class Picture:
    """A finished picture.

    Attributes:
        index: which of the request's it is, from 0.
        image: RGB.
        recipe: how it was made.
        parameters: the same as AUTOMATIC1111 writes it.
        data: a PNG file with both.
    """

    index: int
    image: Image.Image
    recipe: Recipe
    parameters: str
    data: bytes

    def encoded(self, suffix: str = ".png") -> bytes:
        """The file in another format."""
        if suffix == ".png":
            return self.data
        return self.recipe.embed(self.image, suffix, parameters=self.parameters)


def read_picture(data: bytes, policy: Policy, field: str) -> Image.Image:
    """A picture that a client sent; its size is looked at before its pixels are.

    Args:
        data: the file.
        policy: how many pixels it may have.
        field: what messages call it.

    Raises:
        NotAllowed: it has more.
        OptionError: it is damaged or of another format.
    """
    try:
        with Image.open(BytesIO(data), formats=READ) as picture:
            policy.check("input_pixels", picture.width * picture.height, field)
            picture.load()
            return picture.copy()
    except NotAllowed:
        raise
    except UnidentifiedImageError as error:  # its own words name an object in memory
        raise OptionError(
            "This is not a picture." if data else "The picture is empty.",
            remedy=f"Send one of {', '.join(READ)}.",
            field=field,
        ) from error
    except Exception as error:  # Pillow's decoders raise errors of a dozen kinds on damaged files
        raise OptionError(
            "The picture cannot be read.", why=str(error)[:200], remedy=f"Send one of {', '.join(READ)}.", field=field
        ) from error


def read_base64(text: str, policy: Policy, field: str) -> Image.Image:
    """The same of base64, with or without the head of a ``data:`` address.

    Raises:
        NotAllowed, OptionError: see ``read_picture``.
    """
    return read_picture(from_base64(text, field), policy, field)


def from_base64(text: str, field: str) -> bytes:
    """A file of base64, with or without the head of a ``data:`` address.

    Raises:
        OptionError: it is none.
    """
    try:
        letters = text.partition(",")[2] if text.startswith("data:") else text
        return base64.b64decode("".join(letters.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        remedy = "Send the file itself; addresses are not fetched." if "://" in text[:16] else ""
        raise OptionError("This is not valid base64.", why=str(error), remedy=remedy, field=field) from error


def to_base64(data: bytes) -> str:
    """A file as text."""
    return base64.b64encode(data).decode("ascii")


def preview_file(image: Image.Image) -> bytes:
    """A small file of a preview."""
    file = BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=80)
    return file.getvalue()
