"""Options that have no effect where they are given: a new request is refused, a recipe is only noted.

This reads the whole request, because the question is about all of its fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from latentry._errors import OptionError
from latentry._guidance._guidance import Guidance
from latentry._request._generation_request import GenerationRequest
from latentry._resolve._guidance import steps_within
from latentry._resolve._inputs import Inputs


class NoEffect(NamedTuple):
    """A field of the request, and why it has no effect."""

    field: str
    why: str


def without_effect(
    request: GenerationRequest, inputs: Inputs, guidance: Guidance, scale: float, steps: int
) -> tuple[NoEffect, ...]:
    """The fields that differ from their defaults and change nothing.

    Args:
        request: what is wanted.
        inputs: the pictures that were given for it.
        guidance: what was chosen for it.
        scale: the guidance scale.
        steps: how many are taken.
    """
    given = {name for name, field in type(request).model_fields.items() if getattr(request, name) != field.default}
    candidates = (
        *_about_pictures(request, inputs),
        *_about_guidance(request, guidance, scale, steps),
        (request.refiner is None, NoEffect("switch", "There is no refiner.")),
        (not request.loras, NoEffect("lora_mode", "There are no LoRAs.")),
    )
    return tuple(found for useless, found in candidates if useless and found.field in given)


def refuse(found: tuple[NoEffect, ...]) -> None:
    """Refuses a request for such options.

    Raises:
        OptionError: names them.
    """
    if found:
        fields = dict.fromkeys(each.field for each in found)
        raise OptionError(
            f"The option {', '.join(fields)} has no effect here."
            if len(fields) == 1
            else f"The options {', '.join(fields)} have no effect here.",
            why=" ".join(dict.fromkeys(each.why for each in found)),
            remedy="Leave it out." if len(fields) == 1 else "Leave them out.",
            field=found[0].field,
        )


def _about_pictures(request: GenerationRequest, inputs: Inputs) -> Iterator[tuple[bool, NoEffect]]:
    picture = inputs.image is not None
    from_noise = not picture or (inputs.mask is not None and request.strength in (None, 1.0))
    yield not picture, NoEffect("strength_mode", "There is no picture to start from.")
    yield inputs.mask is None, NoEffect("mask_feather", "There is no mask.")
    yield not from_noise, NoEffect("initial_noise", "The run starts from the picture.")


def _about_guidance(
    request: GenerationRequest, guidance: Guidance, scale: float, steps: int
) -> Iterator[tuple[bool, NoEffect]]:
    unguided = "The guidance scale is 1."
    yield scale == 1.0, NoEffect("guidance_rescale", unguided)
    yield scale == 1.0, NoEffect("guidance_interval", unguided)
    yield not guidance.unconditional, NoEffect("negative", unguided)
    for field in ("skip_layer_scale", "skip_layer_interval"):
        yield not request.skip_layers, NoEffect(field, "No layers are skipped.")
    yield request.skip_layer_scale == 0.0, NoEffect("skip_layers", "The scale of skip-layer guidance is 0.")
    intervals = {"guidance_interval": request.guidance_interval, "skip_layers": request.skip_layer_interval}
    for field, (start, stop) in intervals.items():
        why = f"None of the {steps} steps begins within {start:g} to {stop:g}."
        yield not steps_within((start, stop), steps), NoEffect(field, why)
