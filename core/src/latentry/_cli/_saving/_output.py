"""What ``--output`` means."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from latentry._cli._printing._streams import is_terminal
from latentry._cli._saving._template import EXAMPLE, fill, has_fields
from latentry._errors import OptionError
from latentry._pictures._formats import SUFFIXES, Format, check_writable, format_of
from latentry._pictures._writing import Texts

if TYPE_CHECKING:
    from latentry._request._generation_request import GenerationRequest

STANDARD_OUTPUT = "-"
DEFAULT = "picture.png"
RESERVE = 8_000
"""Bytes of a recipe beside its request, at most."""


@dataclass(frozen=True)
class Output:
    """Where pictures go.

    Attributes:
        text: a file's name, with or without fields; with the folder where one was given.
        format: of the files.
        numbered: a name that is taken is followed by a number, the one after the highest that is there, so that later
            pictures come later in the folder. A file that was named is refused in its place.
        total: number of pictures.
        streamed: the picture is written to standard output.
    """

    text: str
    format: Format
    numbered: bool
    total: int
    streamed: bool = False

    def paths(self, values: Mapping[str, Any]) -> Iterator[Path]:
        """Names for a picture, the best first, without end."""
        path = Path(fill(self.text, values)) if has_fields(self.text) else Path(self.text)
        last = _last_number(path) if self.numbered else None
        if last is not None:
            numbers = count(last + 1)
        elif self.total == 1 or has_fields(self.text):
            yield path
            numbers = count(1)
        else:
            numbers = count(values["index"])
        yield from (path.with_stem(f"{path.stem}-{number:03d}") for number in numbers)

    def check(self, request: GenerationRequest, *, as_json: bool) -> None:
        """Refuse a request whose pictures cannot be written so.

        Raises:
            OptionError: standard output is wanted for something else, or the format has too little room for the recipe.
        """
        if self.streamed and as_json:
            raise OptionError("--output - and --json both write to standard output.", remedy="Leave one of them out.")
        if self.streamed and is_terminal(sys.stdout):
            raise OptionError(
                "--output -: standard output is a terminal, which cannot show a picture.", remedy="Send it to a pipe."
            )
        texts = Texts(request.model_dump_json(), "".join((*request.prompts, request.negative)))
        if self.format.limit is not None and texts.size + RESERVE > self.format.limit:
            raise OptionError(
                f"--output {self.text}: the prompts are too long for the recipe in a {self.format.name} file.",
                why=f"It has room for {self.format.limit:,} bytes.",
                remedy="Write PNG files.",
            )

    @property
    def named(self) -> Iterator[Path]:
        """The files that are sure to be written."""
        if self.total == 1:
            yield Path(self.text)
        else:
            yield from (Path(self.text).with_stem(f"{Path(self.text).stem}-{i:03d}") for i in range(self.total))


def read_output(text: str | None, total: int, *, overwrite: bool) -> Output:
    """The meaning of ``--output``; what cannot be written is refused before minutes are spent on pictures.

    Args:
        text: as typed; None where it was not.
        total: number of pictures of the command.
        overwrite: files of the same names are written over.

    Raises:
        OptionError: it cannot be written, or a file would be.
    """
    wanted = DEFAULT if text is None else text
    if wanted == STANDARD_OUTPUT:
        if total > 1:
            raise OptionError(f"--output -: standard output takes one picture, and {total} are to be drawn.")
        return Output(wanted, _format(".png", wanted), numbered=False, total=1, streamed=True)
    with writing(wanted):
        folder = wanted.endswith(("/", "\\")) or Path(wanted).is_dir()
    named = str(Path(wanted) / DEFAULT) if folder else wanted
    suffix = Path(re.sub(r"\{[^{}]*\}", "x", named)).suffix
    kind = _format(suffix or ".png", wanted)
    named += "" if suffix else ".png"
    numbered = not overwrite and (text is None or folder or has_fields(named))
    output = Output(named, kind, numbered, total)
    if has_fields(named):
        fill(named, EXAMPLE)
    with writing(wanted):
        _check_folder(_fixed_folder(named))
        taken = [] if output.numbered or overwrite else [path for path in output.named if path.exists()]
    if taken:
        raise OptionError(
            f"--output {wanted}: {taken[0]} exists.",
            remedy="Add --overwrite, or give another name, or a folder, where names are numbered.",
        )
    return output


@contextmanager
def writing(output: object) -> Iterator[None]:
    """Turn an error of the file system into one clear error."""
    try:
        yield
    except (OSError, ValueError) as error:  # a null character is a ValueError
        raise OptionError(
            f"--output {output} cannot be written.", why=str(error), remedy="Choose another path."
        ) from error


def _format(suffix: str, output: str) -> Format:
    found = format_of(suffix)
    if found is None:
        raise OptionError(
            f"--output {output} is not a name of a PNG, JPEG, WebP or AVIF file.",
            why="Pictures are written in these, which carry the recipe.",
            remedy=f"End it in {', '.join(SUFFIXES)}.",
        )
    check_writable(found)
    return found


def _last_number(path: Path) -> int | None:
    """The highest number behind a name in its folder, 0 where only the name itself is there; None without any."""
    number = re.compile(rf"{re.escape(path.stem)}-(\d{{3,}}){re.escape(path.suffix)}")
    names = os.listdir(path.parent) if path.parent.is_dir() else []
    found = [int(match[1]) for match in map(number.fullmatch, names) if match]
    return max(found, default=0 if path.exists() else None)


def _fixed_folder(named: str) -> Path:
    """The folder as far as it has no fields."""
    folder = Path(named).absolute().parent
    while has_fields(str(folder)) and folder != folder.parent:
        folder = folder.parent
    return folder


def _check_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=folder, prefix=".latentry"):
        pass
