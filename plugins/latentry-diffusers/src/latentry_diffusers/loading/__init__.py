"""Loads the parts of a checkpoint as networks, one tensor at a time, quantised or not.

May use: ``files``, ``layouts``, ``bundle``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry_diffusers._former_modules import former_names

if not TYPE_CHECKING:
    __getattr__ = former_names(__name__)
