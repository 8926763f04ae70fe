"""Encodes prompts with CLIP and T5, with windows for long prompts, emphasis and clip skip.

Uses no other room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry_diffusers._former_modules import former_names

if not TYPE_CHECKING:
    __getattr__ = former_names(__name__)
