"""Tables that pair the tensors of published layouts with those of diffusers and transformers, read in both directions.

Uses no other room."""

from __future__ import annotations

from latentry_diffusers.layouts.pair import Pair, backward, forward

__all__ = ["Pair", "backward", "forward"]
