"""The function that a SAMPLER of ComfyUI calls, and which process its model is of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from latentry import IncompatibleError, PluginHost
from latentry_bridge_k_diffusion import levels, process_of, sampler

SPREADING = ("EPS", "V_PREDICTION", "EDM", "X0")
"""ComfyUI's model samplings whose sample is x₀ + σ·ε."""


def is_flow(model_sampling: Any) -> bool:
    """Whether a model's sampling is a rectified flow.

    Raises:
        IncompatibleError: it is neither that nor x₀ + σ·ε.
    """
    import comfy.model_sampling as known

    if isinstance(model_sampling, known.CONST):
        return True
    if any(isinstance(model_sampling, getattr(known, name)) for name in SPREADING if hasattr(known, name)):
        return False
    raise IncompatibleError(
        f"Latentry's schedulers cannot be used with {type(model_sampling).__name__}.",
        why="Its samples are neither x₀ + σ·ε nor those of a rectified flow.",
        remedy="Use a sampler of ComfyUI.",
    )


@dataclass(frozen=True)
class ComfySampler:
    """A scheduler as ComfyUI calls samplers; made when the model is known, on the process that its sampling has.

    Attributes:
        name: ``distribution:name`` of the scheduler.
        options: of it, as (name, value) pairs.
    """

    name: str
    options: tuple[tuple[str, Any], ...] = ()

    def __call__(
        self,
        model: Any,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Mapping[str, Any] | None = None,
        callback: Callable[[dict[str, Any]], None] | None = None,
        disable: bool | None = None,
    ) -> Tensor:
        """See ``latentry_bridge_k_diffusion.Sampler``; each row of the batch has noise of its own, keyed by the seed.

        Guidance, masks, previews and interrupts are the model's and the callback's.
        """
        flow = is_flow(model.inner_model.model_patcher.get_model_object("model_sampling"))
        made = sampler(self.name, flow=flow, host=PluginHost(), **dict(self.options))
        arguments, unguided = dict(extra_args or {}), None
        if made.scheduler.needs:
            arguments, unguided = _keeping_unguided(arguments)
        return made(model, x, sigmas, arguments, callback, disable, unguided=unguided)


def laid_out(schedule: str, model_sampling: Any, steps: int, *, strength: float = 1.0, **options: Any) -> Tensor:
    """The levels of a sigma schedule on a model; see ``latentry_bridge_k_diffusion.levels``."""
    import comfy.model_sampling as known

    table, flow = model_sampling.sigmas, is_flow(model_sampling)
    process = process_of(table, flow=flow, continuous=isinstance(model_sampling, known.EDM))
    return levels(schedule, process, steps, table=table if flow else None, strength=strength, **options)


def _keeping_unguided(extra_args: dict[str, Any]) -> tuple[dict[str, Any], Callable[[], Tensor]]:
    """Arguments with which the model also tells what it answers without guidance, and that answer."""
    from comfy.model_patcher import set_model_options_post_cfg_function

    last: list[Tensor] = []

    def keep(told: dict[str, Any]) -> Tensor:
        last[:] = [told["uncond_denoised"]]
        denoised: Tensor = told["denoised"]
        return denoised

    options = dict(extra_args.get("model_options", {}))
    options = set_model_options_post_cfg_function(options, keep, disable_cfg1_optimization=True)
    return {**extra_args, "model_options": options}, lambda: last[0]
