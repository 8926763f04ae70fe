"""What a generation gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from PIL.Image import Image
from torch import Tensor

from latentry._contract._model import LoadReport
from latentry._pictures._formats import format_of
from latentry._request._recipe import Recipe, save_picture


def _nothing(recipe: Recipe) -> str:
    return ""


@dataclass(frozen=True)
class GenerationResult:
    """Pictures, their latents and their recipes, in the order of the request.

    Attributes:
        images: RGB pictures.
        latents: (pictures, channels, height, width), at least float32, on the CPU.
        recipes: one for each picture.
        evaluations: network evaluations of each picture's run; the most, where a scheduler chooses its own steps.
        made_up: how many of them a step cache made up; the least, where it chooses for each picture.
        notes: what the person who asked should know, one sentence each.
        loaded: what became of the tensors of the checkpoint's files.
        parameters: makes of a recipe the text that AUTOMATIC1111 and its kin read.
    """

    images: tuple[Image, ...]
    latents: Tensor
    recipes: tuple[Recipe, ...]
    evaluations: int
    notes: tuple[str, ...] = ()
    loaded: LoadReport | None = None
    made_up: int = 0
    parameters: Callable[[Recipe], str] = field(default=_nothing, repr=False, compare=False)

    def save(self, output: Path | str) -> tuple[Path, ...]:
        """Writes the pictures with their recipes, over files of those names; of several, each name ends in its index.

        Args:
            output: ends in ``.png``, ``.jpg``, ``.webp`` or ``.avif``; ``.png`` is added to a name that does not.

        Raises:
            OSError: the folder cannot be written to.
            ValueError: the recipe is too long for a JPEG file.
        """
        base = Path(output)
        base = base if format_of(base.suffix) else base.with_name(base.name + ".png")
        base.parent.mkdir(parents=True, exist_ok=True)
        several = len(self.images) > 1
        paths = []
        for image, recipe in zip(self.images, self.recipes, strict=True):
            path = base.with_stem(f"{base.stem}-{recipe.index:03d}") if several else base
            save_picture(image, path, recipe, parameters=self.parameters(recipe))
            paths.append(path)
        return tuple(paths)
