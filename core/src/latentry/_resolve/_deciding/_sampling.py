"""How a request's pictures are sampled: plan, step cache and guidance, which depend on each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from latentry._contract._caching._step_cache import StepCache
from latentry._contract._curve import Curve
from latentry._guidance._guidance import Guidance
from latentry._guidance._method import GuidanceMethod
from latentry._numerics._plan import Plan
from latentry._request._generation_request import GenerationRequest
from latentry._request._values._limits import check_plan
from latentry._resolve._deciding._companions import Companions
from latentry._resolve._deciding._found import Found
from latentry._resolve._deciding._laying_out import choose_plan
from latentry._resolve._deciding._scale import choose_scale
from latentry._resolve._guiding._guidance import GuidanceOptions, choose_guidance
from latentry._resolve._guiding._guidance_method import ChosenMethod
from latentry._resolve._plan import LaidOut
from latentry._resolve._shown._canvas import Canvas
from latentry._resolve._step_cache import choose_step_cache
from latentry._resolve._useless._idle_options import find_idle_of_guidance
from latentry._resolve._useless._refusals import NoEffect, not_read, refuse, without_effect, without_effect_on


@dataclass(frozen=True)
class Sampling:
    """How pictures are sampled.

    Attributes:
        laid_out: the plan, and what it comes from.
        step_cache: what is left out of some evaluations.
        scale: of guidance.
        guidance: combines the network's outputs.
        useless: fields that have no effect.
    """

    laid_out: LaidOut
    step_cache: StepCache | None
    scale: float | Curve
    guidance: Guidance
    useless: tuple[NoEffect, ...]

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.laid_out.plan

    @property
    def decided(self) -> dict[str, Any]:
        """The fields of a request for the same."""
        return {"guidance": self.scale, **self.laid_out.decided}


def choose_sampling(
    found: Found,
    request: GenerationRequest,
    canvas: Canvas,
    method: ChosenMethod,
    companions: Companions,
    *,
    strict: bool,
) -> Sampling:
    """The request's plan, step cache and guidance.

    Args:
        found: what there is.
        request: what is wanted.
        canvas: the pictures' size and tiles.
        method: of guidance.
        companions: what takes part besides the model.
        strict: refuse options without effect.

    Raises:
        LatentryError: see the choosers.
    """
    located, checkpoint = found.located, found.checkpoint
    laid_out = choose_plan(found, request, canvas, method, strict=strict)
    plan = laid_out.plan
    check_plan(found.access.policy, plan, len(canvas.tiles) if canvas.tiles else 1)
    step_cache = choose_step_cache(found.host, request, located, plan, tiled=canvas.tiles is not None)
    scheduler = None if laid_out.scheduler is None else laid_out.scheduler.name
    options = _options(request, choose_scale(found, request, method, scheduler))

    def guide(tried: GuidanceMethod, plan: Plan) -> Guidance:
        return choose_guidance(options, replace(method, method=tried), located.variant, checkpoint, plan)

    guidance = guide(method.method, plan)
    useless = without_effect(request, canvas, guidance, plan)
    if strict:
        idle_guidance = find_idle_of_guidance(method.method, guide, plan)
        unread = not_read(request, companions.conditioning, companions.checkpoints, guidance)
        refuse((*useless, *without_effect_on(request, laid_out.idle, idle_guidance, plan), *unread))
    return Sampling(laid_out, step_cache, options.guidance, guidance, useless)


def _options(request: GenerationRequest, scale: float | Curve) -> GuidanceOptions:
    return GuidanceOptions(
        guidance=scale,
        negative=request.negative,
        guidance_rescale=request.guidance_rescale,
        guidance_interval=request.guidance_interval,
        skip_layers=request.skip_layers,
        skip_layer_scale=request.skip_layer_scale,
        skip_layer_interval=request.skip_layer_interval,
    )
