"""Puts schedulers and sigma schedules into the web UI's lists."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from latentry import PluginHost, SchedulerSpec
from latentry_bridge_webui._sampling import laid_out, sampler_function

LABEL = "Latentry "
"""How the names of all entries begin, by which they are known again."""


def register(host: PluginHost | None = None) -> None:
    """Adds what is installed as ``Latentry unipc`` and so on; again, as after Reload UI, it changes nothing.

    Left out are schedulers that it cannot carry: adaptive ones, and those that need the unguided answer.
    """
    from modules import sd_samplers, sd_samplers_common, sd_samplers_kdiffusion, sd_schedulers

    host = host or PluginHost()
    for name in host.schedulers:
        spec = host.schedulers[name]
        if spec.adaptive or spec.needs:
            continue
        constructor = _constructor(sd_samplers_kdiffusion.KDiffusionSampler, host, name)
        aliases = [f"latentry_{name.replace('-', '_').replace(':', '_')}"]
        _add_sampler(sd_samplers, sd_samplers_common.SamplerData(LABEL + name, constructor, aliases, _options(spec)))
    for name in host.sigma_schedules:
        _add_schedule(sd_schedulers, f"latentry_{name}", LABEL + name, partial(laid_out, host, name))


def _options(spec: SchedulerSpec) -> dict[str, Any]:
    """What the web UI has to know: how its steps are counted, and that noise comes from each picture's seed."""
    options: dict[str, Any] = {"second_order": True} if spec.evaluations > 1 else {}
    return options | ({"brownian_noise": True} if spec.stochastic else {})


def _constructor(cls: Any, host: PluginHost, name: str) -> Callable[[Any], Any]:
    function = sampler_function(host, host.schedulers.qualified(name))

    def made(sd_model: Any) -> Any:
        sampler = cls(function, sd_model)
        sampler.extra_params = []  # it looks them up by the name of a function
        return sampler

    return made


def _add_sampler(sd_samplers: Any, data: Any) -> None:
    if any(each.name == data.name for each in sd_samplers.all_samplers):
        return
    if hasattr(sd_samplers, "add_sampler"):  # Forge
        sd_samplers.add_sampler(data)
        return
    sd_samplers.all_samplers.append(data)
    sd_samplers.all_samplers_map = {each.name: each for each in sd_samplers.all_samplers}
    sd_samplers.set_samplers()
    if clear := getattr(getattr(sd_samplers, "get_sampler_and_scheduler", None), "cache_clear", None):
        clear()


def _add_schedule(sd_schedulers: Any, name: str, label: str, function: Callable[..., Any]) -> None:
    if name in sd_schedulers.schedulers_map:
        return
    made = sd_schedulers.Scheduler(name, label, function, need_inner_model=True)
    sd_schedulers.schedulers.append(made)
    sd_schedulers.schedulers_map |= {name: made, label: made}
