"""The guidance of a request, and what a variant cannot be guided by."""

from __future__ import annotations

import math
from dataclasses import dataclass

from latentry._contract._curve import Curve
from latentry._contract._model import Checkpoint
from latentry._errors import IncompatibleError, OptionError
from latentry._guidance._guidance import ByMethod, Guidance, SkipLayer
from latentry._numerics._plan import Plan
from latentry._resolve._guiding._guidance_method import ChosenMethod
from latentry._specs import VariantSpec

WHOLE = (0.0, 1.0)


@dataclass(frozen=True)
class GuidanceOptions:
    """The fields of a request that guidance depends on, under their names there.

    Attributes:
        guidance: the scale: the request's, the checkpoint's or the variant's.
        negative: the negative prompt.
    """

    guidance: float | Curve
    negative: str
    guidance_rescale: float
    guidance_interval: tuple[float, float]
    skip_layers: tuple[int, ...]
    skip_layer_scale: float
    skip_layer_interval: tuple[float, float]


def choose_guidance(
    options: GuidanceOptions, chosen: ChosenMethod, variant: VariantSpec, checkpoint: Checkpoint, plan: Plan
) -> Guidance:
    """A method, and skip-layer guidance on top of it where layers are named.

    Args:
        options: of the request.
        chosen: the method.
        variant: says which kind of guidance it takes.
        checkpoint: says how many layers can be skipped.
        plan: of the steps that are taken.

    Raises:
        IncompatibleError: the variant cannot be guided so.
        OptionError: there is no such layer.
    """
    scale = options.guidance if variant.guidance_kind == "classifier-free" else 1.0
    guidance: Guidance = ByMethod(
        chosen.method,
        scale=scale,
        active=steps_within(options.guidance_interval, len(plan)),
        plan=plan,
        rescale=options.guidance_rescale,
        always="uncond" in plan.scheduler.needs,
        neutral=chosen.spec.neutral,
        asks=chosen.spec.branches | (chosen.spec.scaled_branches if scale != 1.0 else frozenset()),
    )
    if variant.guidance_kind != "classifier-free":
        _refuse_what_is_distilled(options, guidance, variant)
    if not options.skip_layers:
        return guidance
    _check_layers(options.skip_layers, variant, checkpoint)
    active = steps_within(options.skip_layer_interval, len(plan))
    return SkipLayer(guidance, options.skip_layers, options.skip_layer_scale, active)


def steps_within(interval: tuple[float, float], steps: int) -> range:
    """The steps i of N, from 0, with start ≤ i/N < stop."""
    start, stop = (math.ceil(share * steps - 1e-9) for share in interval)  # 0.3 · 10 is a little more than 3
    return range(start, stop)


def _refuse_what_is_distilled(options: GuidanceOptions, guidance: Guidance, variant: VariantSpec) -> None:
    """Refuses what needs an unconditional output, for a distilled network without a method that asks for it."""
    requested = {
        "negative": ("a negative prompt", bool(options.negative) and not guidance.unconditional),
        "guidance_rescale": ("rescaled guidance", options.guidance_rescale > 0.0 and not guidance.guided),
        "guidance_interval": ("a guidance interval", options.guidance_interval != WHOLE and not guidance.guided),
        "guidance": (
            f"a guidance scale of {options.guidance:g}",
            variant.guidance_kind == "none" and options.guidance not in (0.0, 1.0),
        ),
    }
    wrong = {field: name for field, (name, given) in requested.items() if given}
    if wrong:
        distilled = variant.guidance_kind == "distilled"
        scale = "the network takes the scale as an input" if distilled else "the only scale is 1"
        raise IncompatibleError(
            f"{variant.name} cannot be used with {' or '.join(wrong.values())}.",
            why=f"Guidance was distilled into the network: {scale}, and there is no unconditional output.",
            remedy="Leave it out.",
            field=next(iter(wrong)),
        )


def _check_layers(layers: tuple[int, ...], variant: VariantSpec, checkpoint: Checkpoint) -> None:
    if not variant.skip_layers:
        raise IncompatibleError(
            f"{variant.name} cannot be used with skip-layer guidance.",
            why="Its network cannot leave layers out.",
            remedy="Leave the layers out of the request; they are for transformers such as SD3.5 Medium.",
            field="skip_layers",
        )
    if max(layers) >= checkpoint.layers:
        raise OptionError(
            f"There is no layer {max(layers)} to skip.",
            why=f"The network of {variant.name} has {checkpoint.layers} layers, counted from 0.",
            remedy=f"Use numbers from 0 to {checkpoint.layers - 1}.",
            field="skip_layers",
        )
