"""From a request to pictures with their recipes."""

from __future__ import annotations

from latentry._engine._engine import Engine
from latentry._engine._locate import fingerprint
from latentry._engine._model import AttentionBackend, Checkpoint, Conditioning, LoadReport, Model
from latentry._engine._noise_settings import NoiseSettings, variance_preserving_settings
from latentry._engine._progress import Progress, ProgressEvent
from latentry._engine._recipe import Recipe, read_recipe
from latentry._engine._request import GenerationRequest
from latentry._engine._result import GenerationResult
from latentry._engine._setup import Setup

__all__ = [
    "AttentionBackend",
    "Checkpoint",
    "Conditioning",
    "Engine",
    "GenerationRequest",
    "GenerationResult",
    "LoadReport",
    "Model",
    "NoiseSettings",
    "Progress",
    "ProgressEvent",
    "Recipe",
    "Setup",
    "fingerprint",
    "read_recipe",
    "variance_preserving_settings",
]
