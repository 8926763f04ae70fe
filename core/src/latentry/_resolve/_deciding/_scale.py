"""The guidance scale of a request."""

from __future__ import annotations

from latentry._contract._curve import Curve
from latentry._request._generation_request import GenerationRequest
from latentry._resolve._deciding._found import Found
from latentry._resolve._guiding._guidance_method import ChosenMethod


def choose_scale(
    found: Found, request: GenerationRequest, method: ChosenMethod, scheduler: str | None
) -> float | Curve:
    """The request's, else the method's, the scheduler's, the model's own or the variant's."""
    located = found.located
    wanted: list[float | Curve | None] = [request.guidance]
    if located.variant.guidance_kind == "classifier-free":
        wanted.append(method.spec.guidance)
        wanted.append(None if scheduler is None else found.host.schedulers[scheduler].guidance)
    wanted += [located.guidance, located.variant.guidance]
    return next(scale for scale in wanted if scale is not None)
