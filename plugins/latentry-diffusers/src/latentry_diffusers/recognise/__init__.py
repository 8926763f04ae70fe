"""Tells from headers or configurations what a file or folder is: a variant of a model, or something else.

Imports no torch. May use: ``files``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry_diffusers._former_modules import former_names

if not TYPE_CHECKING:
    __getattr__ = former_names(__name__)
