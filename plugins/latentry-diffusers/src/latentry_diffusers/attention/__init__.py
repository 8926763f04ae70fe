"""Serves the attention layers of diffusers' and transformers' networks through backends, network by network."""

from __future__ import annotations

from latentry_diffusers.attention._blocks import AttentionBlocks
from latentry_diffusers.attention._flux import FluxProcessor
from latentry_diffusers.attention._heads import joined, own_heads, text_heads, turned
from latentry_diffusers.attention._image import BackendProcessor
from latentry_diffusers.attention._joint import JointProcessor
from latentry_diffusers.attention._layer import Processors
from latentry_diffusers.attention._processor import Processor
from latentry_diffusers.attention._routing import ROLES, Routing, Slot
from latentry_diffusers.attention._shown import cross_layers, shown_to

__all__ = [
    "ROLES",
    "AttentionBlocks",
    "BackendProcessor",
    "FluxProcessor",
    "JointProcessor",
    "Processor",
    "Processors",
    "Routing",
    "Slot",
    "cross_layers",
    "joined",
    "own_heads",
    "shown_to",
    "text_heads",
    "turned",
]
