"""The formats of picture files, by the ends of their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from latentry._errors import OptionError


@dataclass(frozen=True)
class Format:
    """A format of picture files.

    Attributes:
        name: as Pillow has it.
        suffixes: what file names end in; the first is the usual one.
        limit: the most bytes that texts can take in a file, None for any number.
        settings: what Pillow writes it with.
    """

    name: str
    suffixes: tuple[str, ...]
    limit: int | None = None
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


FORMATS = (
    Format("PNG", (".png",)),
    Format("JPEG", (".jpg", ".jpeg"), 65_000, MappingProxyType({"quality": 95, "subsampling": "4:4:4"})),
    Format("WEBP", (".webp",), None, MappingProxyType({"quality": 95})),
    Format("AVIF", (".avif",), None, MappingProxyType({"quality": 90, "subsampling": "4:4:4"})),
)
"""A JPEG file's texts are in one segment of at most 65,533 bytes."""
SUFFIXES = tuple(suffix for each in FORMATS for suffix in each.suffixes)


def format_of(suffix: str) -> Format | None:
    """The format of files whose names end so; None where it is not one that can be written."""
    return next((each for each in FORMATS if suffix.lower() in each.suffixes), None)


def check_writable(wanted: Format) -> None:
    """Refuses a format that the installed Pillow cannot write.

    Raises:
        OptionError: what to install.
    """
    from PIL import Image

    Image.preinit()
    if wanted.name not in Image.SAVE:
        Image.init()  # fifty modules, of which PNG and JPEG need none
    if wanted.name not in Image.SAVE:
        raise OptionError(
            f"The installed Pillow cannot write {wanted.name} files.",
            remedy="Install pillow 11.3 or newer, or write another format.",
        )
