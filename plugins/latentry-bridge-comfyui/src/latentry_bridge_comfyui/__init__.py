"""Latentry's schedulers as nodes of ComfyUI: a custom-node pack.

``python -m latentry_bridge_comfyui ComfyUI/custom_nodes`` puts a folder there that imports ``comfy_entrypoint``
from here. Importing this imports neither torch nor ComfyUI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry import lazy_exports

if TYPE_CHECKING:
    from latentry_bridge_comfyui._extension import comfy_entrypoint
    from latentry_bridge_comfyui._ksampler import add_to_ksampler
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"comfy_entrypoint": "_extension", "add_to_ksampler": "_ksampler"})

__all__ = ["add_to_ksampler", "comfy_entrypoint"]
