"""Time shift: every noise level σ/α multiplied by one factor."""

from __future__ import annotations

import math
from typing import Literal

from latentry._errors import OptionError
from latentry._numerics._processes._point import Point
from latentry._numerics._processes._process import Process


def shifted(point: Point, factor: float, process: Process) -> Point:
    """The level whose s = σ/α is ``factor`` times that of ``point``.

    On a rectified flow this is t' = k·t / (1 + (k − 1)·t) (Esser et al. 2024, arXiv:2403.03206, eq. 23). Pure noise
    and σ = 0 stay what they are.
    """
    if factor == 1.0 or math.isinf(point.lam):
        return point
    return process.at(lam=point.lam - math.log(factor))


def resolution_shift(
    tokens: int,
    *,
    base: float = 0.5,
    top: float = 1.15,
    base_tokens: int = 256,
    top_tokens: int = 4096,
    rule: Literal["exponential", "linear"] = "exponential",
) -> float:
    """The shift of an image of that many tokens: e^μ, or μ itself, with μ linear in the number of tokens (FLUX.1).

    Args:
        tokens: tokens of the image in the network; 4096 for 1024 × 1024 pixels in FLUX.1.
        base: μ at ``base_tokens``.
        top: μ at ``top_tokens``; beyond the two the line goes on.
        base_tokens: fewest tokens of training.
        top_tokens: most tokens of training.
        rule: ``exponential`` gives e^μ as FLUX.1 does, ``linear`` gives μ.

    Raises:
        OptionError: the factor would not be a positive number.
    """
    mu = base + (top - base) * (tokens - base_tokens) / (top_tokens - base_tokens)
    factor = math.exp(mu) if rule == "exponential" else mu
    if not 0.0 < factor < math.inf or tokens < 1:
        raise OptionError(
            f"An image of {tokens} tokens has no {rule} time shift.",
            why=f"μ = {mu:.4g} there, which makes the factor {factor:.4g}.",
            remedy="Use more tokens, or the exponential rule.",
        )
    return factor
