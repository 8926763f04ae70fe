"""Options that have no effect where they are given: a new request is refused, a recipe is only noted.

This reads the whole request, because the question is about all of its fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pydantic import BaseModel

from latentry._conditioning._prompt_schedule import schedule_of
from latentry._contract._curve import Curve
from latentry._contract._model import Checkpoint, ReadsConditioning
from latentry._errors import OptionError, counted
from latentry._guidance._guidance import Guidance
from latentry._numerics._plan import Plan
from latentry._request._generation_request import GenerationRequest
from latentry._request._values._option import declared_options
from latentry._resolve._added._embeddings import unused
from latentry._resolve._guiding._guidance import steps_within
from latentry._resolve._shown._canvas import Canvas
from latentry._resolve._sigmas import ends_at_zero
from latentry._resolve._useless._idle_options import Idle

OWN_STEPS = "The scheduler chooses its own steps within the run's 1 step, and nothing is changed within that one."
"""For what changes over the counted steps."""


class NoEffect(NamedTuple):
    """A field of the request and why it has no effect.

    Attributes:
        field: of the request.
        why: a sentence.
        part: one of the options in a field that holds several, or its value where another one would have an effect.
        remedy: what else than leaving it out; a sentence.
    """

    field: str
    why: str
    part: str = ""
    remedy: str = ""

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.part} in {self.field}" if self.part else self.field


def without_effect(request: GenerationRequest, canvas: Canvas, guidance: Guidance, plan: Plan) -> tuple[NoEffect, ...]:
    """The fields that differ from their defaults and change nothing.

    Args:
        request: what is wanted.
        canvas: the pictures that were given for it, and the strength that applies.
        guidance: what was chosen for it.
        plan: of the steps that are taken.
    """
    defaults = {
        name: field.get_default(call_default_factory=True) for name, field in type(request).model_fields.items()
    }
    given = {name for name, default in defaults.items() if getattr(request, name) != default}
    candidates = (
        *_alone(request, canvas),
        *_beside_a_plan_file(request),
        *_about_noise(request, canvas, plan),
        *_about_guidance(request, guidance, len(plan)),
        *_about_prompts(request, guidance, plan),
        *_about_curves(request, plan),
        *_about_batches(request, plan),
        (canvas.tiles is None and request.upscale is None, NoEffect("denoise_tile", "The picture fits into one.")),
        *_about_embeddings(request, guidance),
    )
    return tuple(found for useless, found in candidates if useless and found.field in given)


def refuse(found: tuple[NoEffect, ...]) -> None:
    """Refuses a request for such options.

    Raises:
        OptionError: names them.
    """
    if found:
        fields = dict.fromkeys(each.name for each in found)
        error = OptionError(
            f"The option {', '.join(fields)} has no effect here."
            if len(fields) == 1
            else f"The options {', '.join(fields)} have no effect here.",
            why=" ".join(dict.fromkeys(each.why for each in found)),
            remedy=_remedy(found, len(fields)),
            field=found[0].field,
        )
        error.idle = frozenset(each.field for each in found)
        raise error


def _remedy(found: tuple[NoEffect, ...], fields: int) -> str:
    remedies = list(dict.fromkeys(each.remedy for each in found if each.remedy))
    if not remedies:
        return "Leave it out." if fields == 1 else "Leave them out."
    return " ".join(remedies if all(each.remedy for each in found) else [*remedies, "Leave out the others."])


def _alone(request: GenerationRequest, canvas: Canvas) -> Iterator[tuple[bool, NoEffect]]:
    """Options without the one that they need."""
    pictures = {"init_image": canvas.inputs.image, "mask": canvas.inputs.mask}  # the caller's or the request's
    for field, option in declared_options(type(request)):
        if needed := option.needs:
            there = pictures[needed] is not None if needed in pictures else bool(getattr(request, needed))
            yield not there, NoEffect(field, f"It needs {needed}, which was not given.")


def without_effect_on(
    request: GenerationRequest, idle: Idle, of_guidance: Sequence[str], plan: Plan
) -> Iterator[NoEffect]:
    """The options of the scheduler, the sigma schedule and the guidance that were asked for and change nothing here.

    Those that came with another program's name for the scheduler were not.
    """
    why = f"It changes nothing in {counted(len(plan), 'step')} with the options beside it, whatever its value."
    idle_by_field = {
        "scheduler_options": idle.scheduler,
        "sigma_options": idle.sigmas,
        "guidance_options": of_guidance,
    }
    for field, names in idle_by_field.items():
        yield from (NoEffect(field, why, name) for name in names if name in getattr(request, field))


def not_read(
    request: GenerationRequest, conditioning: BaseModel | None, checkpoints: Sequence[Checkpoint], guidance: Guidance
) -> Iterator[NoEffect]:
    """The conditioning options that were asked for, and that none of the checkpoints reads for these prompts."""
    if conditioning is None or not all(isinstance(checkpoint, ReadsConditioning) for checkpoint in checkpoints):
        return
    sides = (False, True) if guidance.unconditional else (False,)
    read = {
        name
        for checkpoint in checkpoints
        if isinstance(checkpoint, ReadsConditioning)
        for side in sides
        for name in checkpoint.conditioning_read(negative=side)
    }
    for name, field in type(conditioning).model_fields.items():
        changed = getattr(conditioning, name) != field.get_default(call_default_factory=True)
        if changed and name in request.conditioning and name not in read:
            yield NoEffect("conditioning", "The model does not take it for this prompt and guidance.", name)


def _about_embeddings(request: GenerationRequest, guidance: Guidance) -> Iterator[tuple[bool, NoEffect]]:
    read = (*request.prompts, *((request.negative,) if guidance.unconditional else ()))
    for name in unused(request.embeddings, read):
        yield True, NoEffect("embeddings", f"No prompt that is encoded has the word {name}.", name)


def _beside_a_plan_file(request: GenerationRequest) -> Iterator[tuple[bool, NoEffect]]:
    for field in ("scheduler", "scheduler_options", "sigmas", "sigma_options", "final", "strength_mode"):
        yield request.plan is not None, NoEffect(field, "The plan file decides it.")


def _about_noise(request: GenerationRequest, canvas: Canvas, plan: Plan) -> Iterator[tuple[bool, NoEffect]]:
    whole = canvas.strength == 1.0
    from_noise = canvas.inputs.image is None or (canvas.inputs.mask is not None and whole)
    yield whole and request.upscale is None, NoEffect("strength_mode", "At a strength of 1 all steps are taken.")
    yield not from_noise, NoEffect("initial_noise", "The run starts from the picture.")
    same = plan.noise_scale("sigma") == plan.noise_scale("unit")
    why = "This model was trained down to σ = 0, where every run ends."
    yield request.final == "table" and ends_at_zero(plan.process), NoEffect("final", why)
    yield from_noise and same, NoEffect("initial_noise", "Both scales are the same at the first level of this run.")


def _about_guidance(request: GenerationRequest, guidance: Guidance, steps: int) -> Iterator[tuple[bool, NoEffect]]:
    unguided = "The guidance scale is 1."
    for field in ("guidance_method", "guidance_rescale", "guidance_interval"):
        yield not guidance.guided, NoEffect(field, unguided)
    yield not guidance.unconditional, NoEffect("negative", unguided)
    yield request.skip_layer_scale == 0.0, NoEffect("skip_layers", "The scale of skip-layer guidance is 0.")
    intervals = {"guidance_interval": request.guidance_interval, "skip_layers": request.skip_layer_interval}
    for field, (start, stop) in intervals.items():
        why = f"The run has {counted(steps, 'step')}, and none begins within {start:g} to {stop:g}."
        yield not steps_within((start, stop), steps), NoEffect(field, why)


def _about_prompts(request: GenerationRequest, guidance: Guidance, plan: Plan) -> Iterator[tuple[bool, NoEffect]]:
    read = (*request.prompts, *((request.negative,) if guidance.unconditional else ()))
    plain = all(schedule_of(prompt, request.prompt_syntax, len(plan)).texts == (prompt,) for prompt in set(read))
    yield plain, NoEffect("prompt_syntax", "No prompt has [from:to:when] or [a|b] in it.")
    if not plain and plan.scheduler.adaptive:
        yield len(plan) == 1, NoEffect("prompt_syntax", OWN_STEPS, remedy="Give a number of steps, or leave it out.")


def _about_curves(request: GenerationRequest, plan: Plan) -> Iterator[tuple[bool, NoEffect]]:
    """Curves over the steps of a run that has one: they are numbers."""
    why = OWN_STEPS if plan.scheduler.adaptive else "The run has 1 step, at which it has its first value."
    remedy = "Use a number" + (", or a curve over noise levels: σ: in front." if plan.scheduler.adaptive else ".")
    curves: list[tuple[str, float | Curve | None]] = [("guidance", request.guidance)]
    curves += [("loras", lora.curve) for lora in request.loras]
    curves += [("controls", control.weight) for control in request.controls]
    for field, curve in curves:
        if isinstance(curve, Curve) and curve.over == "steps":
            yield len(plan) == 1, NoEffect(field, why, f"{curve:g}", remedy)


def _about_batches(request: GenerationRequest, plan: Plan) -> Iterator[tuple[bool, NoEffect]]:
    apart = plan.scheduler.adaptive and min(request.batch, len(request.prompts)) > 1
    yield apart, NoEffect("batch", "The scheduler chooses its steps for each picture: they are drawn one at a time.")
