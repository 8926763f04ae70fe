"""sglang's entry: the scheduler of every model that it loads, where the environment names one."""

from __future__ import annotations

import os
from typing import Any

NAMED = "LATENTRY_SGLANG_SCHEDULER"
"""The environment variable: any of a scheduler's names. Without it sglang keeps its own."""
LOADED = "sglang.multimodal_gen.runtime.loader.component_loaders.scheduler_loader.SchedulerLoader.load_customized"


def plugin() -> None:
    """What sglang calls in each of its processes, by the entry-point group ``sglang.multimodal_gen.plugins``.

    sglang does not have a registry of schedulers, so what its loader returns is replaced.
    """
    if not os.environ.get(NAMED):
        return
    from sglang.multimodal_gen.runtime.platforms.plugins import HookRegistry, HookType

    HookRegistry.register(LOADED, replaced, HookType.AFTER)


def replaced(loaded: Any, loader: Any, path: str, server_args: Any, *rest: Any) -> Any:
    """The named scheduler in place of the one that sglang has loaded.

    Args:
        loaded: of a diffusers configuration.
        loader: sglang's.
        path: of the configuration.
        server_args: sglang's settings, whose ``flow_shift`` goes before the checkpoint's.
        rest: what later versions pass.

    Raises:
        UnknownName, IncompatibleError: as ``scheduler``.
    """
    from latentry_bridge_diffusers._factory import scheduler

    made = scheduler(os.environ[NAMED], loaded)
    shift = server_args.pipeline_config.flow_shift
    if shift is not None:
        made.set_shift(shift)
    return made
