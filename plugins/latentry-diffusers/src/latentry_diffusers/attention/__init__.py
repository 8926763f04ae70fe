"""Serves the attention layers of diffusers' and transformers' networks through backends, network by network."""

from __future__ import annotations

from latentry_diffusers.attention._blocks import AttentionBlocks
from latentry_diffusers.attention._flux import FluxProcessor
from latentry_diffusers.attention._heads import joined, own_heads, text_heads
from latentry_diffusers.attention._image import BackendProcessor
from latentry_diffusers.attention._joint import JointProcessor
from latentry_diffusers.attention._layer import Processor, Processors
from latentry_diffusers.attention._routing import ROLES, Routing

__all__ = [
    "ROLES",
    "AttentionBlocks",
    "BackendProcessor",
    "FluxProcessor",
    "JointProcessor",
    "Processor",
    "Processors",
    "Routing",
    "joined",
    "own_heads",
    "text_heads",
]
