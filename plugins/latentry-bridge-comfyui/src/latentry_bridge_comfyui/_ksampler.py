"""The opt-in that adds schedulers and sigma schedules to KSampler's own lists, for which ComfyUI has no interface."""

from __future__ import annotations

from functools import partial

from latentry import PluginHost
from latentry_bridge_comfyui._sampling import ComfySampler, laid_out

PREFIX = "latentry_"


def add_to_ksampler(host: PluginHost | None = None) -> None:
    """Adds all of them under ``latentry_…``; again changes nothing. Adaptive schedulers are left out: KSampler draws
    batches.
    """
    import comfy.k_diffusion.sampling as functions
    from comfy import samplers

    host = host or PluginHost()
    for name in host.schedulers:
        if host.schedulers[name].adaptive:
            continue
        own = PREFIX + name.replace("-", "_").replace(":", "_")
        setattr(functions, f"sample_{own}", ComfySampler(host.schedulers.qualified(name)))
        for names in (samplers.KSAMPLER_NAMES, samplers.SAMPLER_NAMES, samplers.KSampler.SAMPLERS):
            if own not in names:
                names.append(own)
    for name in host.sigma_schedules:
        own = PREFIX + name.replace("-", "_").replace(":", "_")
        samplers.SCHEDULER_HANDLERS[own] = samplers.SchedulerHandler(partial(laid_out, name), True)
        for names in (samplers.SCHEDULER_NAMES, samplers.KSampler.SCHEDULERS):
            if own not in names:
                names.append(own)
