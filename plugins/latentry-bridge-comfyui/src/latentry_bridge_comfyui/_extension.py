"""What ComfyUI loads."""

from __future__ import annotations

import os
from typing import Any

from latentry import PluginHost
from latentry_bridge_comfyui._ksampler import add_to_ksampler
from latentry_bridge_comfyui._nodes import nodes

OPT_IN = "LATENTRY_COMFYUI_KSAMPLER"
"""Set to 1, this environment variable also adds all of them to KSampler's own lists."""


async def comfy_entrypoint() -> Any:
    """The extension, see ComfyUI's V3 schema."""
    from comfy_api.latest import ComfyExtension

    host = PluginHost()

    class LatentryExtension(ComfyExtension):  # type: ignore[misc]
        """Latentry's schedulers and sigma schedules."""

        async def on_load(self) -> None:
            if os.environ.get(OPT_IN) == "1":
                add_to_ksampler(host)

        async def get_node_list(self) -> list[type]:
            return nodes(host)

    return LatentryExtension()
