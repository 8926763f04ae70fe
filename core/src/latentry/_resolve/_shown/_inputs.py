"""The pictures that a request starts from, read and checked before any weight is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from PIL import Image, ImageOps

from latentry._contract._prompts._reference import Reference
from latentry._errors import OptionError
from latentry._policy import ANYTHING, Policy
from latentry._resolve._shown._read_picture import Picture, open_picture, read_image, read_mask


@dataclass(frozen=True)
class Inputs:
    """The picture to start from and its mask, and those that the network is shown beside the prompt.

    Attributes:
        image: RGB.
        mask: greyscale, of the same size; white is drawn anew.
        references: shown beside the prompt, each at its own size.
        digests: of each as it was given, by name.
        remarks: how they were read, one sentence each.
    """

    image: Picture | None = None
    mask: Picture | None = None
    references: tuple[Reference, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def fitted(self, width: int, height: int) -> Inputs:
        """At another size: scaled until it covers it, and cropped to its middle. Proportions do not change.

        The picture is resampled by Lanczos, the mask by its nearest pixels.
        """
        size = (width, height)
        if self.image is None or self.image.size == size:
            return self
        mask = None if self.mask is None else ImageOps.fit(self.mask, size, Image.Resampling.NEAREST)
        return replace(self, image=ImageOps.fit(self.image, size, Image.Resampling.LANCZOS), mask=mask)

    def notes(self, size: tuple[int, int]) -> Iterator[str]:
        """What was done to the pictures for a result of that size."""
        yield from self.remarks
        if self.image is not None and self.image.size != size:
            width, height = self.image.size
            cropped = "" if width * size[1] == height * size[0] else " and cropped"
            yield f"The picture was scaled{cropped} from {_size(self.image)} to {size[0]}×{size[1]} pixels."


def read_inputs(
    pictures: Mapping[str, Picture | None],
    files: Mapping[str, str | None],
    policy: Policy = ANYTHING,
    references: Sequence[str] = (),
) -> Inputs:
    """The caller's pictures, else those in the files.

    Args:
        pictures: ``init_image`` and ``mask``.
        files: likewise.
        policy: how many pixels they may have.
        references: files of pictures that the network is shown.

    Raises:
        NotAllowed: a picture has more pixels.
        OptionError: a file is missing or is not a picture, or picture and mask differ in size.
    """
    found: dict[str, Picture] = {}
    remarks: list[str] = []
    for name, read in (("init_image", read_image), ("mask", read_mask)):
        picture, file = pictures[name], files[name]
        if picture is None and file is not None:
            picture = open_picture(name, file, remarks.append, policy)
        if picture is not None:
            policy.check("input_pixels", picture.width * picture.height, name)
            found[name] = read(picture, remarks.append)
    image, mask = found.get("init_image"), found.get("mask")
    if image is not None and mask is not None and image.size != mask.size:
        raise OptionError(
            f"The mask is {_size(mask)}, and the picture is {_size(image)}.",
            why="A mask says for each pixel of the picture whether it is redrawn.",
            remedy="Use a mask of the picture's size.",
            field="mask",
        )
    shown = tuple(_reference(file, remarks, policy) for file in references)
    digests = {name: digest(found[name]) for name in found}
    digests |= {f"references.{number}": each.digest for number, each in enumerate(shown)}
    return Inputs(image, mask, shown, digests, tuple(remarks))


def _reference(file: str, remarks: list[str], policy: Policy) -> Reference:
    picture = read_image(open_picture("references", file, remarks.append, policy), remarks.append)
    return Reference(digest(picture), picture)


def digest(picture: Picture) -> str:
    """sha256 of a picture's size and pixels, whatever the file format."""
    return sha256(f"{picture.mode} {_size(picture)} ".encode() + picture.tobytes()).hexdigest()


def _size(picture: Picture) -> str:
    return f"{picture.width}×{picture.height}"
