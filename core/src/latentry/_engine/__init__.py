"""From a request to pictures with their recipes."""

from __future__ import annotations

from latentry._engine._attention._arithmetic import (
    causal_by_squares,
    contiguous_rows,
    masked_rows,
    padded_bias,
    score_bias,
)
from latentry._engine._attention._demand import AttentionDemand
from latentry._engine._attention._guard import AttentionGuard
from latentry._engine._attention._packages import gpu_problem, package_problem
from latentry._engine._attention._serving import attention_backend
from latentry._engine._conditioning import Conditioning, PromptSettings
from latentry._engine._engine import Engine
from latentry._engine._locate import fingerprint
from latentry._engine._model import AttentionBackend, Checkpoint, LoadReport, Model
from latentry._engine._noise_settings import NoiseSettings, flow_settings, variance_preserving_settings
from latentry._engine._progress import Progress, ProgressEvent
from latentry._engine._recipe import Recipe, read_recipe
from latentry._engine._request import GenerationRequest
from latentry._engine._result import GenerationResult
from latentry._engine._setup import Setup

__all__ = [
    "AttentionBackend",
    "AttentionDemand",
    "AttentionGuard",
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
    "PromptSettings",
    "Recipe",
    "Setup",
    "attention_backend",
    "causal_by_squares",
    "contiguous_rows",
    "fingerprint",
    "flow_settings",
    "gpu_problem",
    "masked_rows",
    "package_problem",
    "padded_bias",
    "read_recipe",
    "score_bias",
    "variance_preserving_settings",
]
