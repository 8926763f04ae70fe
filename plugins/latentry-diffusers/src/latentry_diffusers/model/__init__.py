"""Code shared by the checkpoints and models of all families: autoencoder, masks, picture sizes, time shift.

May use every room but ``convert``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry_diffusers._former_modules import former_names

if not TYPE_CHECKING:
    __getattr__ = former_names(__name__)
