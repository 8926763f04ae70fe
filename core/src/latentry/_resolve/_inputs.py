"""The pictures a request begins from, read and checked before any weight is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from latentry._errors import OptionError
from latentry._request._generation_request import GenerationRequest

Picture = Image.Image


@dataclass(frozen=True)
class Inputs:
    """The picture to begin from and its mask, in pixels.

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
        """What becomes of the pictures in a result of that size."""
        if self.image is not None and self.image.size != size:
            yield f"The picture was scaled from {_size(self.image)} to {size[0]}×{size[1]} pixels."


def read_inputs(request: GenerationRequest, image: Picture | None, mask: Picture | None) -> Inputs:
    """The caller's pictures, or those in the files that the request names.

    Raises:
        OptionError: a file is missing or no picture, or the two are not of one size.
    """
    given = {"init_image": image, "mask": mask}
    files = {"init_image": request.init_image, "mask": request.mask}
    found: dict[str, Picture] = {}
    for name, mode in (("init_image", "RGB"), ("mask", "L")):
        picture, file = given[name], files[name]
        if picture is None and file is not None:
            picture = _open(name, file)
        if picture is not None:
            found[name] = ImageOps.exif_transpose(picture).convert(mode)
    inputs = Inputs(found.get("init_image"), found.get("mask"), {name: digest(found[name]) for name in found})
    if inputs.image is not None and inputs.mask is not None and inputs.image.size != inputs.mask.size:
        raise OptionError(
            f"The mask is {_size(inputs.mask)}, and the picture {_size(inputs.image)}.",
            why="A mask says of each pixel of the picture whether it is drawn anew.",
            remedy="Give a mask of the picture's size.",
        )
    return inputs


def digest(picture: Picture) -> str:
    """sha256 of a picture's size and pixels, whatever the file format."""
    return sha256(f"{picture.mode} {_size(picture)} ".encode() + picture.tobytes()).hexdigest()


def _size(picture: Picture) -> str:
    return f"{picture.width}×{picture.height}"


def _open(name: str, file: str) -> Picture:
    option = f"--{name.replace('_', '-')} {file}"
    try:
        with Image.open(Path(file).expanduser()) as picture:
            picture.load()
            return picture
    except FileNotFoundError as error:
        raise OptionError(f"{option}: there is no such file.", remedy="Give the path of a picture.") from error
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise OptionError(
            f"{option} cannot be read as a picture.", why=str(error), remedy="Give a PNG, a JPEG or the like."
        ) from error
