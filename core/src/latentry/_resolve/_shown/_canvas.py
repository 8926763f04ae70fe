"""The size of the result, and the pictures it begins from at that size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from latentry._contract._model import Checkpoint
from latentry._discovery import plugin_call
from latentry._errors import OptionError
from latentry._guidance._tiles import Tiles
from latentry._policy import ANYTHING, Policy
from latentry._resolve._shown._inputs import Inputs
from latentry._resolve._shown._task import choose_strength, choose_task
from latentry._specs import VariantSpec

STEPS = (1, 8, 16, 32, 64)
"""Steps in pixels that sizes of models have; a size that is a multiple of a later one is also one of the earlier."""


@dataclass(frozen=True)
class Canvas:
    """What is drawn on.

    Attributes:
        size: width and height in pixels.
        latent_shape: (channels, height, width) of one latent.
        inputs: the pictures it begins from, at that size.
        strength: how far the result may be from them; None without pictures.
        notes: what was done to the pictures, one sentence each.
        tiles: the parts in which the network is shown it; None: whole.
    """

    size: tuple[int, int]
    latent_shape: tuple[int, int, int]
    inputs: Inputs
    strength: float | None
    notes: tuple[str, ...]
    tiles: Tiles | None = None

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height that the network is shown at a time, which it was trained for or not."""
        return self.tiles.shown if self.tiles else self.size

    @property
    def decided(self) -> dict[str, Any]:
        """The fields of a request for the same."""
        found: dict[str, Any] = {"width": self.size[0], "height": self.size[1], "strength": self.strength}
        if self.tiles is not None:
            found["denoise_overlap"] = self.tiles.overlap * self.size[1] // self.tiles.whole[0]
        return found


def choose_canvas(
    variant: VariantSpec,
    checkpoint: Checkpoint,
    inputs: Inputs,
    *,
    width: int | None,
    height: int | None,
    strength: float | None,
    policy: Policy = ANYTHING,
) -> Canvas:
    """Width and height are the request's, else those of the picture, else the checkpoint's own.

    A picture whose sides the model cannot draw is scaled and cropped to the next smaller size that it can.

    Args:
        variant: says what its network is for.
        checkpoint: says which sizes it can draw.
        inputs: the pictures of the request.
        width: in pixels.
        height: in pixels.
        strength: how far the result may be from the picture.
        policy: how many pixels there may be.

    Raises:
        OptionError: see ``choose_task``, ``choose_strength`` and ``Checkpoint.latent_shape``.
        IncompatibleError: the network is for other tasks.
    """
    task = choose_task(variant, image=inputs.image is not None, mask=inputs.mask is not None)
    chosen = choose_strength(task, strength)
    if inputs.image is None:
        size = width or checkpoint.size, height or checkpoint.size
    else:
        size = drawable(inputs.image.size, checkpoint, width, height)
    policy.check("pixels", size[0] * size[1], "width")
    try:
        with plugin_call(checkpoint):
            latent_shape = checkpoint.latent_shape(*size)
    except OptionError as error:
        error.field = error.field or "width"
        raise
    return Canvas(size, latent_shape, inputs.fitted(*size), chosen, tuple(inputs.notes(size)))


def drawable(
    wanted: tuple[int, int], checkpoint: Checkpoint, width: int | None = None, height: int | None = None
) -> tuple[int, int]:
    """A size, or the next smaller one that the model can draw; a requested side is kept."""
    for step in STEPS:
        size = width or wanted[0] // step * step, height or wanted[1] // step * step
        if not all(size):
            break
        try:
            with plugin_call(checkpoint):
                checkpoint.latent_shape(*size)
        except OptionError:
            continue
        return size
    return width or wanted[0], height or wanted[1]  # the checkpoint says what is wrong with it
