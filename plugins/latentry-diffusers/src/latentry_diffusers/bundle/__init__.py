"""Splits a checkpoint, in any file format, into networks with configurations and tokenizers; reads no weights.

May use: ``files``, ``layouts``, ``recognise``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry_diffusers._former_modules import former_names

if not TYPE_CHECKING:
    __getattr__ = former_names(__name__)
