"""Descriptions of options that both have."""

from __future__ import annotations

ETA_TEXT = "what η means: g² of the reverse SDE (sde), σ of the fresh noise (ancestral), or in t (flow)"
