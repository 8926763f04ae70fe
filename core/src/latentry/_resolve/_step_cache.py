"""Whether a part of the network may be left out at some evaluations."""

from __future__ import annotations

from latentry._contract._caching._step_cache import StepCache
from latentry._discovery import PluginHost
from latentry._errors import IncompatibleError, OptionError
from latentry._files._finding._locate import Located
from latentry._numerics._plan import Plan
from latentry._request._generation_request import GenerationRequest


def choose_step_cache(
    host: PluginHost, request: GenerationRequest, located: Located, plan: Plan, *, tiled: bool
) -> StepCache | None:
    """The step cache of a request; None where it has none.

    Args:
        host: what is installed.
        request: what is wanted.
        located: the model.
        plan: of the steps that are taken.
        tiled: samples go through the network in parts.

    Raises:
        IncompatibleError: the family has no such cache, or it does not go with something else of the request.
        OptionError: it would be without effect.
    """
    if request.step_cache is None:
        return None
    cache = StepCache.parse(request.step_cache)
    kinds = host.families[located.family].step_caches
    if cache.kind not in kinds:
        raise IncompatibleError(
            f"{located.name} has no step cache {cache.kind!r}.",
            why=f"Its family has {', '.join(sorted(kinds)) or 'none'}.",
            remedy=f"Use {min(kinds)}." if kinds else "Leave it out.",
            field="step_cache",
        )
    beside = {
        "controls": (bool(request.controls), "What steers the network goes into the part that a cache leaves out."),
        "denoise_tile": (tiled, "Each tile would have to be cached on its own."),
        "plan": (request.plan is not None, "Its coefficients are those of the network's own outputs."),
    }
    for field, (there, why) in beside.items():
        if there:
            raise IncompatibleError(
                f"A step cache does not go with {field}.", why=why, remedy="Leave out one of them.", field="step_cache"
            )
    if plan.evaluations is not None and plan.evaluations <= cache.order + 1:
        raise OptionError(
            "The option step_cache has no effect here.",
            why=f"With {plan.evaluations} evaluations, all are computed.",
            remedy="Leave it out, or take more steps.",
            field="step_cache",
        )
    return cache
