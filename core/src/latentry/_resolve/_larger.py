"""The second, larger pass of a request with ``upscale``: image to image from what the first one drew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from latentry._errors import IncompatibleError, LatentryError, OptionError
from latentry._policy import Policy
from latentry._request._generation_request import GenerationRequest
from latentry._resolve._setup import Setup
from latentry._resolve._shown._canvas import drawable
from latentry._resolve._shown._inputs import Inputs

FIELDS = {
    "init_image": "upscale",
    "width": "upscale",
    "strength": "upscale_strength",
    "steps": "upscale_steps",
    "strength_mode": "upscale_strength",
}
"""The fields that are to blame, by those of the second pass."""
MEMORY = ("vae_tiling", "vae_slicing", "capture")
"""Fields that are decided by the larger size."""


@contextmanager
def naming_upscale() -> Iterator[None]:
    """An error inside names the field that the user gave."""
    try:
        yield
    except LatentryError as error:
        if error.field == "strength":
            error.remedy = "Use a higher strength, or more steps."
        error.field = FIELDS.get(error.field or "", error.field)
        raise


def larger_request(request: GenerationRequest, setup: Setup) -> GenerationRequest:
    """What the second pass is asked for: all that was decided for the first, so that a recipe holds both.

    A time shift stays that of the first size: a strength begins at the noise level that it has there.

    Args:
        request: as it was given.
        setup: of the first pass.

    Raises:
        IncompatibleError: the network cannot draw from a picture.
    """
    variant = setup.located.variant
    if setup.inputs.mask is None and "image-to-image" not in variant.tasks:
        raise IncompatibleError(
            f"{variant.name} cannot draw a picture again at a larger size.",
            why=f"That is image-to-image, and its network is for {' and '.join(variant.tasks)}.",
            remedy="Leave upscale out, or choose another model.",
            field="upscale",
        )
    second = {
        "width": None,
        "height": None,
        "upscale": None,
        "init_image": None,
        "strength": request.upscale_strength,
        "steps": request.upscale_steps or request.steps,
    }
    return setup.request.model_copy(update=second | {field: getattr(request, field) for field in MEMORY})


def larger_size(setup: Setup) -> tuple[int, int]:
    """Width and height that are wanted of the second pass, whether the model can draw them or not."""
    factor = setup.request.upscale or 1.0
    width, height = setup.size
    return round(width * factor), round(height * factor)


def larger_inputs(setup: Setup, given: Inputs, policy: Policy) -> Inputs:
    """The pictures that the second pass begins from: one of its size for the one that is not drawn yet. Where a mask
    keeps parts, these are enlarged from the picture as it was given, which may be larger than the first pass.

    Args:
        setup: of the first pass.
        given: the request's pictures.
        policy: how many pixels there may be.

    Raises:
        NotAllowed: it would have more pixels than are allowed.
    """
    width, height = wanted = larger_size(setup)
    policy.check("pixels", width * height, "upscale")
    size = drawable(wanted, setup.checkpoint)
    if given.mask is None:
        return Inputs(Image.new("RGB", size), references=given.references)
    like_the_first = size[0] * setup.size[1] == size[1] * setup.size[0]  # else it would be cropped otherwise
    return (given if like_the_first else setup.inputs).fitted(*size)


def size_note(setup: Setup, larger: Setup) -> Iterator[str]:
    """Tells of a size that is not the one that was asked for."""
    wanted = larger_size(setup)
    if larger.size != wanted:
        (width, height), (across, down) = wanted, larger.size
        yield (
            f"The enlarged picture has {across}×{down} pixels: "
            f"{width}×{height} is rounded down to sides that the model can draw."
        )


def check_larger(setup: Setup, larger: Setup) -> None:
    """Refuses a factor that leaves the size as it is, and tiles that are not smaller than the larger size.

    Raises:
        OptionError: the model has no size between the two.
    """
    if larger.size == setup.size:
        width, height = setup.size
        raise OptionError(
            f"{setup.request.upscale:g} times {width}×{height} pixels rounds to the same size.",
            why="It is rounded down to sides that the model can draw.",
            remedy="Use a larger factor.",
            field="upscale",
        )
    if larger.request.denoise_tile is not None and larger.tiles is None:
        raise OptionError(
            "The option denoise_tile has no effect here.",
            why="The enlarged picture fits into one.",
            remedy="Leave it out.",
            field="denoise_tile",
        )
