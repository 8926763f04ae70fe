"""Options that have no effect where they are given: a new request is refused, a recipe is only noted.

This reads the whole request, because the question is about all of its fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from latentry._errors import OptionError
from latentry._guidance._guidance import Guidance
from latentry._request._generation_request import GenerationRequest
from latentry._request._option import declared_options
from latentry._resolve._canvas import Canvas
from latentry._resolve._guidance import steps_within


class NoEffect(NamedTuple):
    """A field of the request, and why it has no effect."""

    field: str
    why: str


def without_effect(request: GenerationRequest, canvas: Canvas, guidance: Guidance, steps: int) -> tuple[NoEffect, ...]:
    """The fields that differ from their defaults and change nothing.

    Args:
        request: what is wanted.
        canvas: the pictures that were given for it, and the strength that applies.
        guidance: what was chosen for it.
        steps: how many are taken.
    """
    defaults = {
        name: field.get_default(call_default_factory=True) for name, field in type(request).model_fields.items()
    }
    given = {name for name, default in defaults.items() if getattr(request, name) != default}
    candidates = (
        *_alone(request, canvas),
        *_about_pictures(canvas),
        *_about_guidance(request, guidance, steps),
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


def _alone(request: GenerationRequest, canvas: Canvas) -> Iterator[tuple[bool, NoEffect]]:
    """Options without the one that they need."""
    pictures = {"init_image": canvas.inputs.image, "mask": canvas.inputs.mask}  # the caller's or the request's
    for field, option in declared_options(type(request)):
        if needed := option.needs:
            there = pictures[needed] is not None if needed in pictures else bool(getattr(request, needed))
            yield not there, NoEffect(field, f"It needs {needed}, which was not given.")


def _about_pictures(canvas: Canvas) -> Iterator[tuple[bool, NoEffect]]:
    whole = canvas.strength == 1.0
    from_noise = canvas.inputs.image is None or (canvas.inputs.mask is not None and whole)
    yield whole, NoEffect("strength_mode", "At a strength of 1 all steps are taken.")
    yield not from_noise, NoEffect("initial_noise", "The run starts from the picture.")


def _about_guidance(request: GenerationRequest, guidance: Guidance, steps: int) -> Iterator[tuple[bool, NoEffect]]:
    unguided = "The guidance scale is 1."
    for field in ("guidance_method", "guidance_rescale", "guidance_interval"):
        yield not guidance.guided, NoEffect(field, unguided)
    yield not guidance.unconditional, NoEffect("negative", unguided)
    yield request.skip_layer_scale == 0.0, NoEffect("skip_layers", "The scale of skip-layer guidance is 0.")
    intervals = {"guidance_interval": request.guidance_interval, "skip_layers": request.skip_layer_interval}
    for field, (start, stop) in intervals.items():
        why = f"None of the {steps} steps begins within {start:g} to {stop:g}."
        yield not steps_within((start, stop), steps), NoEffect(field, why)
