"""Latentry's schedulers in AUTOMATIC1111's web UI and in Forge: an extension.

``python -m latentry_bridge_webui path/to/webui/extensions`` puts a folder there whose script calls ``register``.
Importing this imports neither torch nor the web UI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry import lazy_exports

if TYPE_CHECKING:
    from latentry_bridge_webui._register import register
else:
    __getattr__, __dir__ = lazy_exports(__name__, {"register": "_register"})

__all__ = ["register"]
