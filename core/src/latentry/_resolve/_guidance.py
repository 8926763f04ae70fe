"""The guidance of a request, and what of it a variant cannot have."""

from __future__ import annotations

import math
from collections.abc import Iterator

from latentry._contract._model import Checkpoint
from latentry._errors import IncompatibleError, OptionError
from latentry._guidance._guidance import ClassifierFree, Guidance, SkipLayer
from latentry._numerics._plan import Plan
from latentry._request._generation_request import GenerationRequest
from latentry._specs import VariantSpec

WHOLE = (0.0, 1.0)


def choose_guidance(
    request: GenerationRequest, scale: float, variant: VariantSpec, checkpoint: Checkpoint, plan: Plan
) -> Guidance:
    """See the module.

    Args:
        request: what is wanted.
        scale: the request's, the checkpoint's or the variant's.
        variant: says of which kind its guidance is.
        checkpoint: says how many layers can be skipped.
        plan: of the steps that are taken.

    Raises:
        IncompatibleError: the variant has no such guidance.
        OptionError: there is no such layer.
    """
    always = "uncond" in plan.scheduler.needs
    guidance: Guidance
    if variant.guidance_kind == "classifier-free":
        active = steps_within(request.guidance_interval, len(plan))
        guidance = ClassifierFree(scale, active, request.guidance_rescale, always)
    else:
        _refuse_classifier_free(request, scale, variant)
        guidance = ClassifierFree(1.0, (), always=always)
    if not request.skip_layers:
        return guidance
    _check_layers(request.skip_layers, variant, checkpoint)
    active = steps_within(request.skip_layer_interval, len(plan))
    return SkipLayer(guidance, request.skip_layers, request.skip_layer_scale, active)


def steps_within(interval: tuple[float, float], steps: int) -> range:
    """The steps i of N, from 0, with start ≤ i/N < stop."""
    start, stop = (math.ceil(share * steps - 1e-9) for share in interval)  # 0.3 · 10 is a little more than 3
    return range(start, stop)


def notes_on(request: GenerationRequest, guidance: Guidance, steps: int) -> Iterator[str]:
    """What of a request comes to nothing."""
    if request.negative and not guidance.unconditional:
        yield "The negative prompt has no part at guidance 1."
    intervals = {"guidance": request.guidance_interval} | (
        {"skip-layer guidance": request.skip_layer_interval} if request.skip_layers else {}
    )
    for name, interval in intervals.items():
        if not steps_within(interval, steps):
            yield f"There is no {name}: none of the {steps} steps begins within {interval[0]:g} to {interval[1]:g}."


def _refuse_classifier_free(request: GenerationRequest, scale: float, variant: VariantSpec) -> None:
    """Of a network that is told its scale, or knows none."""
    asked = {
        "a negative prompt": bool(request.negative),
        "--guidance-rescale": request.guidance_rescale > 0.0,
        "--guidance-interval": request.guidance_interval != WHOLE,
        f"a guidance scale of {scale:g}": variant.guidance_kind == "none" and scale not in (0.0, 1.0),
    }
    wrong = [name for name, given in asked.items() if given]
    if wrong:
        told = "it is told the scale" if variant.guidance_kind == "distilled" else "there is no scale but 1"
        raise IncompatibleError(
            f"{variant.name} cannot be used with {' or '.join(wrong)}.",
            why=f"Its guidance was distilled into the network: {told}, and no second output to be guided by.",
            remedy="Leave it out.",
        )


def _check_layers(layers: tuple[int, ...], variant: VariantSpec, checkpoint: Checkpoint) -> None:
    if not variant.skip_layers:
        raise IncompatibleError(
            f"{variant.name} cannot be used with skip-layer guidance.",
            why="Its network cannot leave layers out.",
            remedy="Leave --skip-layers out; it is for transformers such as SD3.5 Medium.",
        )
    if max(layers) >= checkpoint.layers:
        raise OptionError(
            f"There is no layer {max(layers)} to skip.",
            why=f"The network of {variant.name} has {checkpoint.layers}, counted from 0.",
            remedy=f"Give numbers from 0 to {checkpoint.layers - 1}.",
        )
