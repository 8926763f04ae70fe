"""What is drawn on: the size of the result, and the pictures it begins from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latentry._contract._model import Checkpoint
from latentry._request._generation_request import GenerationRequest
from latentry._resolve._inputs import Inputs, Picture, read_inputs
from latentry._resolve._task import choose_strength, choose_task
from latentry._specs import VariantSpec


@dataclass(frozen=True)
class Canvas:
    """See the module.

    Attributes:
        size: width and height in pixels.
        latent_shape: (channels, height, width) of one latent.
        inputs: the pictures it begins from, at that size.
        strength: how far it goes from them; None where there are none.
        notes: what became of them, one sentence each.
    """

    size: tuple[int, int]
    latent_shape: tuple[int, int, int]
    inputs: Inputs
    strength: float | None
    notes: tuple[str, ...]

    def decided(self, request: GenerationRequest) -> dict[str, Any]:
        """What a request that asks for the same would say."""
        return {
            "width": self.size[0],
            "height": self.size[1],
            "init_image": _absolute(request.init_image),
            "mask": _absolute(request.mask),
            "strength": self.strength,
        }


def choose_canvas(
    request: GenerationRequest,
    variant: VariantSpec,
    checkpoint: Checkpoint,
    init_image: Picture | None,
    mask: Picture | None,
) -> Canvas:
    """Width and height are the request's, else the picture's, else the checkpoint's own.

    Args:
        request: what is wanted.
        variant: says what its network is for.
        checkpoint: says which sizes it can draw.
        init_image: the caller's own picture to begin from.
        mask: the caller's own mask.

    Raises:
        OptionError: see ``read_inputs``, ``choose_task``, ``choose_strength`` and ``Checkpoint.latent_shape``.
        IncompatibleError: the network is for other tasks.
    """
    given = read_inputs(request, init_image, mask)
    task = choose_task(variant, image=given.image is not None, mask=given.mask is not None)
    strength = choose_strength(task, request.strength)
    own = (checkpoint.size, checkpoint.size) if given.image is None else given.image.size
    size = request.width or own[0], request.height or own[1]
    return Canvas(size, checkpoint.latent_shape(*size), given.scaled(*size), strength, tuple(given.notes(size)))


def _absolute(file: str | None) -> str | None:
    return None if file is None else str(Path(file).expanduser().resolve())
