"""A request that makes what another program's settings say, as far as it can be made here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from latentry._conditioning._prompt_schedule import prompt_syntax_of
from latentry._discovery import PluginHost
from latentry._errors import RecipeError, UnknownName
from latentry._peers._names import understand, understand_sigmas
from latentry._pictures._settings import ForeignSettings
from latentry._request._generation_request import LARGEST

AUTOMATIC = {"", "automatic"}
"""Schedule types that leave the grid to the sampler."""
CHANGING = {"AUTOMATIC1111", "Forge"}
"""Programs in whose prompts words change over the steps."""
PLAIN = ("prompt", "negative", "steps", "guidance", "width", "height")
"""Fields that are called and mean the same."""


class Adopted(NamedTuple):
    """What becomes of another program's settings.

    Attributes:
        fields: of a request.
        notes: what could not be taken over, one sentence each.
    """

    fields: dict[str, Any]
    notes: tuple[str, ...]


def adopt(host: PluginHost, settings: ForeignSettings, given: Mapping[str, Any]) -> Adopted:
    """Takes settings over.

    They are a stranger's: no file is opened and nothing is downloaded for them. A model is taken over only if it is
    installed under its name.

    Args:
        host: whose names the samplers, schedules and models are looked up in.
        settings: what a picture says.
        given: fields that the user gives, which count before them.

    Raises:
        RecipeError: its model is not installed, and none is given.
    """
    notes: list[str] = list(settings.unsure)
    fields = {name: value for name in PLAIN if (value := getattr(settings, name)) not in (None, "")}
    fields |= _syntax(settings, given)
    fields |= _bounded(settings, notes)
    fields |= _scheduler(host, settings, given, notes)
    fields |= _larger(settings, notes)
    fields |= _model(host, settings, given)
    notes += _left_out(settings, given)
    return Adopted({**fields, **given}, tuple(notes))


def _syntax(settings: ForeignSettings, given: Mapping[str, Any]) -> dict[str, Any]:
    """Brackets mean what they mean in the program of the prompts; those that are given in their place do not count."""
    kept = [getattr(settings, name) for name in ("prompt", "negative") if name not in given]
    found = prompt_syntax_of(*kept) if settings.program in CHANGING else "plain"
    return {} if found == "plain" else {"prompt_syntax": found}


def _bounded(settings: ForeignSettings, notes: list[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if settings.seed is not None and 0 <= settings.seed < 2**64:
        fields["seed"] = settings.seed
        notes.append(f"The seed is taken over, but {settings.program} draws other noise from it.")
    for name in ("width", "height"):
        value = getattr(settings, name)
        if value is not None and not 1 <= value <= LARGEST:
            notes.append(f"Its {name} of {value} pixels is not taken over.")
            fields[name] = None
    if settings.clip_skip:
        fields["conditioning"] = {"clip_skip": settings.clip_skip}
    return fields


def _scheduler(
    host: PluginHost, settings: ForeignSettings, given: Mapping[str, Any], notes: list[str]
) -> dict[str, Any]:
    """The names as they stand, where they are understood; the request's preparation does the rest."""
    fields: dict[str, Any] = {}
    schedule = "" if settings.schedule.casefold() in AUTOMATIC else settings.schedule
    if settings.sampler and "scheduler" not in given:
        try:
            understand(host, settings.sampler)
            fields["scheduler"] = settings.sampler
        except UnknownName as error:
            notes.append(f"The sampler {settings.sampler!r} is not taken over: {error.what}")
    if schedule and "sigmas" not in given:
        try:
            fields["sigmas"] = understand_sigmas(host, schedule)
        except UnknownName as error:
            notes.append(f"The schedule {schedule!r} is not taken over: {error.what}")
    return fields


def _larger(settings: ForeignSettings, notes: list[str]) -> dict[str, Any]:
    """The second pass; that program takes its steps in full, where a strength takes a share of ours."""
    factor, strength = settings.upscale, settings.strength
    if factor is None or strength is None:
        return {}
    if not (1.0 < factor <= 8.0 and 0.0 < strength <= 1.0):
        notes.append(f"It was enlarged {factor:g} times at a strength of {strength:g}, which is not taken over.")
        return {}
    latent = settings.upscaler.casefold().startswith("latent")
    if settings.upscaler.casefold() not in ("", "lanczos", "latent (bicubic)"):
        by = "latents by bicubic interpolation" if latent else "by Lanczos"
        notes.append(f"It was enlarged by {settings.upscaler!r}; here it is {by}.")
    steps = settings.upscale_steps or settings.steps
    return {
        "upscale": factor,
        "upscale_strength": strength,
        "upscale_steps": None if steps is None else max(1, math.ceil(steps / Fraction(repr(strength)))),
        "upscale_mode": "latent" if latent else "pixels",
    }


def _model(host: PluginHost, settings: ForeignSettings, given: Mapping[str, Any]) -> dict[str, Any]:
    if "model" in given or not settings.model:
        return {}
    if settings.model in host.checkpoints:
        return {"model": settings.model}
    raise RecipeError(
        f"The picture was made with the model {settings.model!r}, which is not installed under that name.",
        why=f"It was made by {settings.program}, whose settings name no file that is opened on their word.",
        remedy="Name the model.",
        field="model",
    )


def _left_out(settings: ForeignSettings, given: Mapping[str, Any]) -> Iterator[str]:
    if settings.strength is not None and settings.upscale is None and "init_image" not in given:
        began = f"It started from another picture, at a strength of {settings.strength:g}"
        yield f"{began}; give it as init_image (--init-image)."
    if settings.loras and "loras" not in given:
        names = ", ".join(f"{name}:{weight:g}" for name, weight in settings.loras)
        weight = settings.loras[0][1]
        yield f"LoRAs are not taken over: {names}. Give their files as loras (--lora PATH:{weight:g})."
    if settings.rest:
        yield f"Not taken over: {', '.join(f'{name} ({value})' for name, value in settings.rest.items())}."
