"""Names that used to be at the top of the package and have moved to a module of their own."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

_NAMES = {
    "solvers": """
        Ancestral Churn DynamicThreshold EtaRule Form Hook InitialNoise ancestral combine
        exponential_multistep exponential_step exponential_weights midpoint_weights
        polynomial_weights slope_step
    """,
    "sigmas": """
        AlignYourSteps Beta BetaSigmas ExactSigmas Exponential KLOptimal LinearQuadratic Normal
        Polyexponential SGMUniform SigmaSchedule Simple resolution_shift shifted
    """,
    "attention": """
        AttentionBackend AttentionDemand AttentionGuard attention_backend causal_by_squares
        contiguous_rows gpu_problem masked_rows package_problem padded_bias score_bias
    """,
    "models": """
        Checkpoint Conditioning Conversion LoadReport LoraMatch Model NoiseSettings PromptSettings
        fingerprint flow_settings offloaded parse_emphasis variance_preserving_settings
    """,
}
MOVED = {name: module for module, names in _NAMES.items() for name in names.split()}
"""The public module that each name is in now. The old places work until 2.0 (``docs/versions.md``)."""


def moved(name: str) -> Any:
    """The value of ``latentry.NAME``, with a warning at the line that asked for it."""
    message = f"latentry.{name} has moved: use latentry.{MOVED[name]}.{name}. The old name goes in latentry 2.0"
    warnings.warn(message, DeprecationWarning, stacklevel=3)
    return getattr(import_module(f"latentry.{MOVED[name]}"), name)
