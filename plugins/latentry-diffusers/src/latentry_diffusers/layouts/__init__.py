"""The tensors of published layouts and those of diffusers and transformers: one two-way table for each network."""

from __future__ import annotations

from latentry_diffusers.layouts.pair import Pair, backward, forward

__all__ = ["Pair", "backward", "forward"]
