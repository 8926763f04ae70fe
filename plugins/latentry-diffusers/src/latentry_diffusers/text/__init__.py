"""Encodes prompts with CLIP and T5, with windows for long prompts, emphasis, clip skip and textual inversion.

May use ``files`` and ``bundle``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry_diffusers._former_modules import former_names

if not TYPE_CHECKING:
    __getattr__ = former_names(__name__)
