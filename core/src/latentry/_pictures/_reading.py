"""Reading the texts in a picture file, which may be anybody's."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from latentry._errors import NotAllowed, RecipeError
from latentry._pictures._writing import EXIF_IFD, MAKER_NOTE, NOTE_HEAD, PARAMETERS, RECIPE, UNICODE, USER_COMMENT
from latentry._policy import ANYTHING, Policy

if TYPE_CHECKING:
    from PIL.Image import Exif

LATIN, NOTHING = b"ASCII\0\0\0", bytes(8)
"""Other heads of user comments."""
MAKE, CAMERA = 0x010F, 0x0110
"""Tags of EXIF in which ComfyUI writes its graphs, the name of the chunk first."""


@dataclass(frozen=True)
class PictureTexts:
    """What a picture file says about itself.

    Attributes:
        by_name: PNG text chunks by their names; what EXIF has in their place is under the same names.
        width: in pixels.
        height: in pixels.
    """

    by_name: dict[str, str] = field(default_factory=dict)
    width: int = 0
    height: int = 0

    @property
    def recipe(self) -> str | None:
        """The text of our own recipe."""
        return self.by_name.get(RECIPE)


def read_texts(file: Path | IO[bytes], policy: Policy = ANYTHING) -> PictureTexts:
    """The texts in a picture of any format that Pillow reads.

    Args:
        file: its path, or the picture itself, open for reading.
        policy: which paths may be opened, and how many pixels there may be.

    Raises:
        NotAllowed: the policy does not allow it.
        RecipeError: it is not a regular file, or not a picture.
    """
    from PIL import Image, UnidentifiedImageError

    if isinstance(file, Path):
        policy.check_path(str(file))
        _check_regular(file)
    try:
        with Image.open(file) as picture:
            policy.check("input_pixels", picture.width * picture.height)
            picture.load()  # text chunks can stand after the pixels
            chunks = {str(name): text for name, text in picture.info.items() if isinstance(text, str)}
            return PictureTexts(_exif_texts(picture.getexif()) | chunks, *picture.size)
    except NotAllowed:
        raise
    except Exception as error:  # Pillow's decoders raise errors of a dozen kinds on damaged files
        why = "" if isinstance(error, UnidentifiedImageError) else str(error)  # its words name an object in memory
        raise RecipeError(
            f"{named(file)} cannot be read as a picture.", why=why, remedy="Give a picture made by Latentry."
        ) from error


def named(file: Path | IO[bytes]) -> str:
    """What messages call it."""
    return str(file) if isinstance(file, Path) else "The picture"


def _exif_texts(exif: Exif) -> dict[str, str]:
    texts: dict[str, str] = {}
    own = exif.get_ifd(EXIF_IFD)
    note = own.get(MAKER_NOTE)
    if isinstance(note, bytes) and note.startswith(NOTE_HEAD):
        texts[RECIPE] = note.removeprefix(NOTE_HEAD).decode("utf-8", "replace")
    for tag in (MAKE, CAMERA):
        chunk, colon, text = str(exif.get(tag) or "").partition(":")
        if colon and chunk in ("prompt", "workflow"):
            texts[chunk] = text.rstrip("\0")
    comment = own.get(USER_COMMENT)
    if isinstance(comment, bytes) and (text := _comment(comment)):
        texts[PARAMETERS] = text
    return texts


def _comment(comment: bytes) -> str:
    """The text of a user comment, whose head says how it is encoded."""
    head, body = comment[:8], comment[8:]
    if head == UNICODE:
        # EXIF leaves the order of bytes open; AUTOMATIC1111 writes the greater first
        return body.decode("utf-16-le" if body[1::2].count(0) > body[::2].count(0) else "utf-16-be", "replace")
    return (body if head in (LATIN, NOTHING) else comment).decode("utf-8", "replace").rstrip("\0")


def _check_regular(path: Path) -> None:
    """Refuse what is not a regular file before it is opened: opening a pipe waits for its other end."""
    remedy = "Give the path of a picture made by Latentry."
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise RecipeError(f"There is no file {path}.", remedy=remedy) from error
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path} cannot be opened.", why=str(error), remedy=remedy) from error
    if not stat.S_ISREG(mode):
        raise RecipeError(f"{path} is not a regular file.", remedy=remedy)
