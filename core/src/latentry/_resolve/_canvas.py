"""The size of the result, and the pictures it begins from at that size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from latentry._contract._model import Checkpoint
from latentry._resolve._inputs import Inputs
from latentry._resolve._task import choose_strength, choose_task
from latentry._specs import VariantSpec


@dataclass(frozen=True)
class Canvas:
    """What is drawn on.

    Attributes:
        size: width and height in pixels.
        latent_shape: (channels, height, width) of one latent.
        inputs: the pictures it begins from, at that size.
        strength: how far the result may be from them; None without pictures.
        notes: what was done to the pictures, one sentence each.
    """

    size: tuple[int, int]
    latent_shape: tuple[int, int, int]
    inputs: Inputs
    strength: float | None
    notes: tuple[str, ...]

    @property
    def decided(self) -> dict[str, Any]:
        """The fields of a request for the same."""
        return {"width": self.size[0], "height": self.size[1], "strength": self.strength}


def choose_canvas(
    variant: VariantSpec,
    checkpoint: Checkpoint,
    inputs: Inputs,
    *,
    width: int | None,
    height: int | None,
    strength: float | None,
) -> Canvas:
    """Width and height are the request's, else the picture's, else the checkpoint's own.

    Args:
        variant: says what its network is for.
        checkpoint: says which sizes it can draw.
        inputs: the pictures of the request.
        width: in pixels.
        height: in pixels.
        strength: how far the result may be from the picture.

    Raises:
        OptionError: see ``choose_task``, ``choose_strength`` and ``Checkpoint.latent_shape``.
        IncompatibleError: the network is for other tasks.
    """
    task = choose_task(variant, image=inputs.image is not None, mask=inputs.mask is not None)
    chosen = choose_strength(task, strength)
    own = (checkpoint.size, checkpoint.size) if inputs.image is None else inputs.image.size
    size = width or own[0], height or own[1]
    latent_shape = checkpoint.latent_shape(*size)
    return Canvas(size, latent_shape, inputs.scaled(*size), chosen, tuple(inputs.notes(size)))
