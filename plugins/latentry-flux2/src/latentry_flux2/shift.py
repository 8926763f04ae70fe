"""FLUX.2's time shift, which depends on the tokens of a picture and on the number of steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from latentry_diffusers.model.time_shift import flow_shift

FEW, MANY = 10, 200
"""Numbers of steps at which the authors fitted μ as a line in the number of tokens."""
LINES: Mapping[int, tuple[float, float]] = {FEW: (8.73809524e-05, 1.89833333), MANY: (0.00016927, 0.45666666)}
"""Slope and value at 0 of these lines."""
LARGE = 4300
"""Tokens beyond which μ no longer depends on the steps."""


def empirical_mu(tokens: int, steps: int) -> float:
    """μ of a picture of that many tokens, drawn in so many steps, as in the code of FLUX.2: linear in both."""
    few, many = (slope * tokens + start for slope, start in LINES.values())
    return many if tokens > LARGE else many + (steps - MANY) * (many - few) / (MANY - FEW)


def shift_for(config: Mapping[str, Any], tokens: int, steps: int) -> float:
    """The factor on σ/α, e^μ, where the scheduler's configuration asks for a shift that depends on the picture.

    Raises:
        ModelError: the configuration does not give a positive shift.
    """
    usual = flow_shift(config, tokens)
    if not config.get("use_dynamic_shifting", False):
        return usual
    mu = empirical_mu(tokens, steps)
    return math.exp(mu) if config.get("time_shift_type", "exponential") == "exponential" else mu
