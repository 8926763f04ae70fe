"""Where pictures are written, and the report on them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from latentry._cli._output import print_json, say
from latentry._errors import OptionError

if TYPE_CHECKING:
    from latentry._request._result import GenerationResult


def check_output(output: Path) -> None:
    """Refuse an output that cannot be written before minutes are spent on the pictures."""
    with writing(output):
        folder = output.is_dir()
    if folder:
        raise OptionError(f"--output {output} is a folder.", remedy=f"Give a file, e.g. {output / 'picture.png'}.")
    if output.suffix.lower() not in ("", ".png"):
        raise OptionError(
            f"--output {output} is not a PNG file.",
            why="Only PNG files carry the recipe.",
            remedy=f"Use {output.with_suffix('.png')}.",
        )
    with writing(output):
        output.absolute().parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=output.absolute().parent, prefix=output.name):
            pass


@contextmanager
def writing(output: Path) -> Iterator[None]:
    """Turn an error of the file system into one clear error."""
    try:
        yield
    except (OSError, ValueError) as error:  # a null character is a ValueError
        raise OptionError(
            f"--output {output} cannot be written.", why=str(error), remedy="Choose another path."
        ) from error


def report(result: GenerationResult, paths: tuple[Path, ...], *, quiet: bool, as_json: bool) -> None:
    """Print how the pictures were made and where they are."""
    if as_json:
        recipes = [json.loads(recipe.model_dump_json()) for recipe in result.recipes]
        loaded = None if result.loaded is None else asdict(result.loaded)
        pictures = zip(paths, recipes, strict=True)
        print_json([{"path": str(path), "recipe": recipe, "loaded": loaded} for path, recipe in pictures])
    elif not quiet:
        request = result.recipes[0].request
        say(
            f"{request.scheduler}, {request.sigmas}, {request.steps} steps ({result.evaluations} evaluations), "
            f"guidance {request.guidance:g}, seed {request.seed}"
        )
        for note in result.notes:
            say(f"note: {note}")
        for path in paths:
            say(str(path))
