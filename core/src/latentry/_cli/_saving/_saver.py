"""Writing pictures as soon as they are decoded."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentry._cli._printing._output import print_json, say
from latentry._cli._printing._streams import print_message
from latentry._cli._saving._output import Output, writing
from latentry._cli._saving._sheet import ContactSheet
from latentry._cli._saving._template import values_of
from latentry._errors import counted, visible
from latentry._pictures._writing import Texts, encode_picture

if TYPE_CHECKING:
    from PIL.Image import Image

    from latentry._request._derived import Derived
    from latentry._request._recipe import Recipe
    from latentry._request._result import GenerationResult


class Saver:
    """Writes the pictures of a command, and says where they are.

    Paths are printed on standard output as pictures are written; all else that is said goes to standard error, so that
    a pipe gets paths alone.

    Args:
        output: where to.
        overwrite: files of the same names are written over.
        quiet: nothing is printed.
        as_json: what is printed is one JSON document at the end.
        sheet: a file for all pictures in small.
    """

    def __init__(
        self, output: Output, *, overwrite: bool, quiet: bool, as_json: bool, sheet: Path | None = None
    ) -> None:
        self._output, self._overwrite, self._quiet, self._as_json = output, overwrite, quiet, as_json
        self._entries: list[dict[str, Any]] = []
        self._written: set[Path] = set()
        self._told: set[str] = set()
        self._drawn = 0
        self._sheet_path, self._sheet = sheet, ContactSheet()
        self._derived: Derived | None = None

    def begin(self, derived: Derived | None, notes: Iterable[str]) -> None:
        """Begin with the pictures of a job.

        Args:
            derived: recorded in each recipe: the picture whose settings were taken.
            notes: what to tell about the job.
        """
        self._derived = derived
        self._tell(notes)

    def __call__(self, result: GenerationResult) -> None:
        """Write the pictures of a batch.

        Raises:
            OptionError: the file cannot be written.
        """
        loaded = None if result.loaded is None else asdict(result.loaded)
        for image, drawn in zip(result.images, result.recipes, strict=True):
            recipe = drawn.model_copy(update={"derived": self._derived})
            path = self._write(image, recipe, result.parameters(recipe))
            if self._as_json:
                text = json.loads(recipe.model_dump_json())
                self._entries.append({"path": str(path), "recipe": text, "loaded": loaded})
            elif not self._quiet and not self._output.streamed:
                say(str(path))
                sys.stdout.flush()
            self._drawn += 1
            if self._sheet_path is not None:
                self._sheet.add(image, recipe)

    def report(self, result: GenerationResult) -> None:
        """Say how the pictures of a request were made."""
        if self._quiet or self._as_json:
            return
        request = result.recipes[0].request
        assert request.steps is not None
        method = f"{request.scheduler}, {request.sigmas}" if request.plan is None else request.plan
        made_up = f", {result.made_up} of them made up by the step cache" if request.step_cache else ""
        print_message(
            f"{method}, {counted(request.steps, 'step')} ({counted(result.evaluations, 'evaluation')}{made_up}), "
            f"guidance {request.guidance:g}, seed {request.seed}"
        )
        self._tell(result.notes)

    def _tell(self, notes: Iterable[str]) -> None:
        """Say what was not said yet: most holds for every seed and prompt of the command."""
        for note in () if self._quiet or self._as_json else notes:
            if note not in self._told:
                print_message(visible(f"note: {note}"))
            self._told.add(note)

    def close(self) -> None:
        """Write the sheet, and print the JSON document of what was written, be it all or not."""
        if self._sheet_path is not None:
            self._sheet.write(self._sheet_path)
        if self._entries:
            print_json(self._entries)

    def _write(self, image: Image, recipe: Recipe, parameters: str) -> Path:
        if self._output.streamed:
            self._stream(image, Texts(recipe.model_dump_json(), parameters))
            return Path("-")
        request = recipe.request
        assert request.seed is not None
        values = values_of(
            seed=request.seed, scheduler=request.scheduler or "", index=self._drawn, model=request.model or ""
        )
        with writing(self._output.text):
            path = next(path for path in self._output.paths(values) if self._take(path, image, recipe, parameters))
        self._written.add(path)
        return path

    def _take(self, path: Path, image: Image, recipe: Recipe, parameters: str) -> bool:
        """Write the file, unless its name is taken."""
        from latentry._request._recipe import save_picture

        if path in self._written or (not self._overwrite and path.exists()):
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            save_picture(image, path, recipe, parameters=parameters, overwrite=self._overwrite)
        except FileExistsError:  # since the lines above
            return False
        return True

    def _stream(self, image: Image, texts: Texts) -> None:
        file = BytesIO()
        encode_picture(image, file, self._output.format, texts)
        sys.stdout.buffer.write(file.getvalue())
        sys.stdout.flush()
