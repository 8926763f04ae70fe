"""What the web UI calls: a sampler's function, and a sigma schedule's."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from torch import Tensor

from latentry import OptionError, PluginHost
from latentry_bridge_k_diffusion import levels, process_of, sampler


def sampler_function(host: PluginHost, name: str) -> Callable[..., Tensor]:
    """A scheduler as the web UI calls k-diffusion's functions; it passes arguments by the names it finds here."""

    def sample(
        model: Any,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Any = None,
        callback: Any = None,
        disable: Any = None,
        noise_sampler: Any = None,
    ) -> Tensor:
        made = sampler(name, flow=is_flow(table_of(model)), host=host)
        return made(model, x, sigmas, extra_args, callback, disable, noise_sampler or _theirs(x))

    sample.__name__ = f"sample_latentry_{name.rpartition(':')[2].replace('-', '_')}"
    return sample


def laid_out(
    host: PluginHost, name: str, n: int, sigma_min: float, sigma_max: float, inner_model: Any, device: Any
) -> Tensor:
    """A sigma schedule as the web UI calls its own: n + 1 levels that end in 0, on the model's table."""
    table = table_of(inner_model)
    flow = is_flow(table)
    return levels(name, process_of(table, flow=flow), n, table=table if flow else None, host=host).to(device)


def table_of(model: Any) -> Tensor:
    """The levels of the model's timesteps, rising; the denoiser around the model has them.

    Raises:
        OptionError: nothing has them.
    """
    while model is not None:
        table = getattr(model, "sigmas", None)
        if isinstance(table, Tensor):
            return table
        model = getattr(model, "inner_model", None)
    raise OptionError(
        "The model's noise levels are not known.",
        why="Neither it nor anything in it has a table of sigmas.",
        remedy="Use a sampler of the web UI.",
    )


def is_flow(table: Tensor) -> bool:
    """Whether the levels are t of a rectified flow (SD3, FLUX), which end at 1; those of other models go far beyond."""
    return float(table[-1]) <= 1.0


def _theirs(x: Tensor) -> Callable[[Any, Any], Tensor]:
    """Noise as the web UI's own samplers draw it: it puts something in place of their ``torch``, which draws for each
    picture from its own seed.
    """
    theirs = import_module("k_diffusion.sampling")
    return lambda sigma, sigma_next: theirs.torch.randn_like(x)
