"""The pictures that a request begins from, read and checked before any weight is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from latentry._errors import OptionError

Picture = Image.Image


@dataclass(frozen=True)
class Inputs:
    """The picture to begin from and its mask.

    Attributes:
        image: RGB.
        mask: greyscale, of the same size; white is drawn anew.
        digests: of each as it was given, by name.
    """

    image: Picture | None = None
    mask: Picture | None = None
    digests: Mapping[str, str] = field(default_factory=dict)

    def scaled(self, width: int, height: int) -> Inputs:
        """At another size: the picture by Lanczos, the mask by its nearest pixels."""
        size = (width, height)
        if self.image is None or self.image.size == size:
            return self
        mask = None if self.mask is None else self.mask.resize(size, Image.Resampling.NEAREST)
        return Inputs(self.image.resize(size, Image.Resampling.LANCZOS), mask, self.digests)

    def notes(self, size: tuple[int, int]) -> Iterator[str]:
        """What is done to the pictures for a result of that size."""
        if self.image is not None and self.image.size != size:
            yield f"The picture was scaled from {_size(self.image)} to {size[0]}×{size[1]} pixels."


def read_inputs(pictures: Mapping[str, Picture | None], files: Mapping[str, str | None]) -> Inputs:
    """The caller's pictures, else those in the files.

    Args:
        pictures: ``init_image`` and ``mask``.
        files: likewise.

    Raises:
        OptionError: a file is missing or is not a picture, or picture and mask differ in size.
    """
    found: dict[str, Picture] = {}
    for name, mode in (("init_image", "RGB"), ("mask", "L")):
        picture, file = pictures[name], files[name]
        if picture is None and file is not None:
            picture = _open(name, file)
        if picture is not None:
            found[name] = ImageOps.exif_transpose(picture).convert(mode)
    inputs = Inputs(found.get("init_image"), found.get("mask"), {name: digest(found[name]) for name in found})
    if inputs.image is not None and inputs.mask is not None and inputs.image.size != inputs.mask.size:
        raise OptionError(
            f"The mask is {_size(inputs.mask)}, and the picture is {_size(inputs.image)}.",
            why="A mask says for each pixel of the picture whether it is drawn anew.",
            remedy="Use a mask of the picture's size.",
            field="mask",
        )
    return inputs


def digest(picture: Picture) -> str:
    """sha256 of a picture's size and pixels, whatever the file format."""
    return sha256(f"{picture.mode} {_size(picture)} ".encode() + picture.tobytes()).hexdigest()


def _size(picture: Picture) -> str:
    return f"{picture.width}×{picture.height}"


def _open(name: str, file: str) -> Picture:
    try:
        with Image.open(Path(file).expanduser()) as picture:
            picture.load()
            return picture
    except FileNotFoundError as error:
        raise OptionError(f"There is no file {file}.", remedy="Give the path of a picture.", field=name) from error
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise OptionError(
            f"{file} cannot be read as a picture.", why=str(error), remedy="Use a PNG or JPEG file.", field=name
        ) from error
