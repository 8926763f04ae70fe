"""A stand-in of the part of AUTOMATIC1111's (1.10.1) and Forge's interface that the extension uses, by its behaviour.
Nothing of their code is in it.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor


class SamplerData(NamedTuple):
    """An entry of the list of sampling methods."""

    name: str
    constructor: Callable[[Any], Any]
    aliases: list[str]
    options: dict[str, Any]


class Scheduler:
    """An entry of the list of schedule types."""

    def __init__(
        self,
        name: str,
        label: str,
        function: Any,
        default_rho: float = -1,
        need_inner_model: bool = False,
        aliases: Any = None,
    ) -> None:
        self.name, self.label, self.function, self.need_inner_model = name, label, function, need_inner_model


class KDiffusionSampler:
    """Calls a function with the arguments whose names it has."""

    def __init__(self, function: Any, sd_model: Any) -> None:
        self.func, self.sd_model, self.extra_params = function, sd_model, ["s_churn"]

    def sample(
        self, model: Any, x: Tensor, sigmas: Tensor, options: dict[str, Any], seeds: list[int], callback: Any = None
    ) -> Tensor:
        """One run from noise; ``torch`` of k-diffusion draws for each picture meanwhile."""
        names = inspect.signature(self.func).parameters
        given: dict[str, Any] = {"sigmas": sigmas} if "sigmas" in names else {}
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]

        def drawn(*_: Any) -> Tensor:
            return torch.stack([torch.randn(x.shape[1:], generator=generator) for generator in generators])

        if options.get("brownian_noise") and "noise_sampler" in names:
            given["noise_sampler"] = drawn
        assert not any(name in names for name in self.extra_params)
        theirs = sys.modules["k_diffusion.sampling"]
        theirs.torch = SimpleNamespace(randn_like=drawn)  # type: ignore[attr-defined]
        return self.func(model, x, extra_args={"cond": 1}, disable=False, callback=callback, **given)  # type: ignore[no-any-return]


def modules(*, forge: bool) -> dict[str, ModuleType]:
    """The web UI's modules by name."""
    names = ("sd_samplers", "sd_samplers_common", "sd_samplers_kdiffusion", "sd_schedulers")
    found = {f"modules.{name}": ModuleType(f"modules.{name}") for name in names}
    found |= {name: ModuleType(name) for name in ("modules", "k_diffusion", "k_diffusion.sampling")}
    found["modules.sd_samplers_common"].SamplerData = SamplerData  # type: ignore[attr-defined]
    found["modules.sd_samplers_kdiffusion"].KDiffusionSampler = KDiffusionSampler  # type: ignore[attr-defined]
    normal = Scheduler("normal", "Normal", None)
    vars(found["modules.sd_schedulers"]).update(
        Scheduler=Scheduler, schedulers=[normal], schedulers_map={"normal": normal, "Normal": normal}
    )
    samplers: Any = found["modules.sd_samplers"]
    samplers.all_samplers = [SamplerData("Euler", lambda model: None, ["k_euler"], {})]
    samplers.shown = []

    def set_samplers() -> None:
        samplers.shown = list(samplers.all_samplers_map)

    def add_sampler(data: SamplerData) -> None:
        if data.name not in [each.name for each in samplers.all_samplers]:
            samplers.all_samplers.append(data)
            samplers.all_samplers_map = {each.name: each for each in samplers.all_samplers}
            set_samplers()

    samplers.set_samplers = set_samplers
    samplers.get_sampler_and_scheduler = functools.cache(lambda name, schedule: samplers.all_samplers_map.get(name))
    if forge:
        samplers.add_sampler = add_sampler
    for name, module in found.items():
        above, _, last = name.rpartition(".")
        if above:
            setattr(found[above], last, module)
    return found
