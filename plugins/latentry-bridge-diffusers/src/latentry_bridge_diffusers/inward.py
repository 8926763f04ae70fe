"""diffusers' scheduler classes by their names: ``inward.EulerDiscreteScheduler`` is a Latentry scheduler class.

diffusers is imported when one is asked for.
"""

from __future__ import annotations

from importlib import import_module

from latentry import PluginError
from latentry_bridge_diffusers._inward import DiffusersScheduler, wrapped


def __getattr__(name: str) -> type[DiffusersScheduler]:
    if not name.endswith("Scheduler"):
        raise AttributeError(name)
    diffusers = import_module("diffusers")
    peer = getattr(diffusers, name, None) or getattr(import_module("diffusers.schedulers"), name, None)
    if not isinstance(peer, type):
        raise PluginError(
            f"There is no scheduler {name} in diffusers {diffusers.__version__}.",
            why="This version does not have it, or it needs a package that is not installed.",
            remedy="Install another version of diffusers.",
        )
    return wrapped(peer)
