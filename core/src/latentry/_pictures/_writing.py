"""Writing a picture with its texts: whole or not at all, and over another file only where that is wanted."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from struct import pack
from typing import IO, TYPE_CHECKING, Any

from latentry._pictures._formats import Format, format_of

if TYPE_CHECKING:
    from PIL.Image import Image

RECIPE = "latentry"
"""Name of the PNG text chunk that holds the recipe; a MakerNote begins with it."""
PARAMETERS = "parameters"
"""Name of AUTOMATIC1111's PNG text chunk."""
EXIF_IFD, MAKER_NOTE, USER_COMMENT = 0x8769, 0x927C, 0x9286
"""Tags of EXIF 2.3: its own directory, a maker's own data, and the user's comment, where AUTOMATIC1111 writes."""
LONG, UNDEFINED = 4, 7
"""Types of TIFF."""
NOTE_HEAD = RECIPE.encode() + b"\0"
UNICODE = b"UNICODE\0"
"""The head of a user comment in UTF-16."""


@dataclass(frozen=True)
class Texts:
    """What is written into a picture file.

    Attributes:
        recipe: our own JSON.
        parameters: AUTOMATIC1111's text; empty for none.
    """

    recipe: str
    parameters: str = ""

    @property
    def size(self) -> int:
        """Bytes that they take in EXIF, about."""
        return len(self.recipe.encode()) + 2 * len(self.parameters) + 200


def write_picture(picture: Image, path: Path, texts: Texts, *, overwrite: bool = True) -> None:
    """Writes a file in the format of its name's end, PNG where that says nothing.

    A failure leaves no partial file, and a file that is in the way as it was.

    Raises:
        FileExistsError: there is a file, and ``overwrite`` is not wanted.
        OSError: the folder cannot be written to.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            encode_picture(picture, file, format_of(path.suffix) or format_of(".png"), texts)
        if overwrite:
            part.replace(path)
        else:
            _place(part, path)
    finally:
        part.unlink(missing_ok=True)


def encode_picture(picture: Image, file: IO[bytes], wanted: Format | None, texts: Texts) -> None:
    """Writes a picture with its texts to an open file.

    Args:
        picture: RGB.
        file: open for writing.
        wanted: its format.
        texts: PNG has them in text chunks, other formats in EXIF.
    """
    assert wanted is not None
    about: dict[str, Any] = {"pnginfo": _chunks(texts)} if wanted.name == "PNG" else {"exif": _exif(texts)}
    picture.save(file, format=wanted.name, **wanted.settings, **about)


def _place(part: Path, path: Path) -> None:
    """Gives a file its name, unless another has it; nobody sees the name with half of a picture."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):  # a file system without links
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        try:
            part.replace(path)
        except BaseException:
            with suppress(OSError):
                path.unlink()
            raise


def _chunks(texts: Texts) -> Any:
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    about.add_itxt(RECIPE, texts.recipe)
    if texts.parameters:
        about.add_text(PARAMETERS, texts.parameters)
    return about


def _exif(texts: Texts) -> bytes:
    """The block of EXIF: a TIFF header, a directory that points to EXIF's own, and that one with its values.

    Pillow's writer gives both tags the type of bytes, where EXIF 2.3 asks for undefined, which readers insist on.
    """
    values = {MAKER_NOTE: NOTE_HEAD + texts.recipe.encode()}
    if texts.parameters:
        values[USER_COMMENT] = UNICODE + texts.parameters.encode("utf-16-be")
    header, pointer = b"MM" + pack(">HI", 42, 8), pack(">HHHIII", 1, EXIF_IFD, LONG, 1, 26, 0)
    at = len(header) + len(pointer) + 2 + 12 * len(values) + 4
    entries = pack(">H", len(values))
    for tag, value in sorted(values.items()):
        entries += pack(">HHII", tag, UNDEFINED, len(value), at)
        at += len(value) + len(value) % 2  # values begin at even places
    data = b"".join(value + bytes(len(value) % 2) for _, value in sorted(values.items()))
    return b"Exif\0\0" + header + pointer + entries + bytes(4) + data
