"""k-diffusion's own samplers, by the names of their functions: ``samplers.sample_heun`` is a scheduler class.

k-diffusion is imported when one is asked for.
"""

from __future__ import annotations

from importlib import import_module

from latentry import PluginError
from latentry_bridge_k_diffusion._inward import KDiffusionScheduler, scheduler
from latentry_bridge_k_diffusion._records import ADAPTIVE


def __getattr__(name: str) -> type[KDiffusionScheduler]:
    if not name.startswith("sample_"):
        raise AttributeError(name)
    try:
        sampling = import_module("k_diffusion.sampling")
    except ImportError as error:
        raise PluginError(
            "k-diffusion's samplers cannot be used.",
            why=f"It cannot be imported: {error}.",
            remedy="Install it: pip install k-diffusion",
        ) from error
    return scheduler(getattr(sampling, name), adaptive=name in ADAPTIVE)
