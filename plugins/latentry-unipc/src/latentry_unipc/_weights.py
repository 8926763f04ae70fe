"""UniP and UniC: a step with given evaluations, and its weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from latentry import Node, Point
from latentry.solvers import exponential_step, exponential_weights, midpoint_weights

Variant = Literal["bh1", "bh2", "exact"]


def unified_weights(lams: Sequence[float], end: float, rate: float, variant: Variant) -> tuple[float, ...]:
    """Weights of the evaluations at ``lams``, of which the first is at the step's start.

    UniP-p has p evaluations, UniC-p has p + 1, the last of them at the step's end. Where there are three or more the
    conditions R·a = φ/B(h) of Zhao et al. 2023 (arXiv:2302.04867, theorem 3.1) are those of an exact quadrature and
    B(h) drops out. With two, the authors set the one coefficient to ½, its limit as h goes to 0, so B(h) stays: h
    (``bh1``) or e^h − 1 (``bh2``), h being −h for data prediction.

    Args:
        lams: λ of the evaluations, at least two.
        end: λ where the step ends.
        rate: 1 for data prediction, −1 for noise prediction.
        variant: B(h), or ``exact`` for the quadrature with two evaluations too.
    """
    start, other = lams[0], lams[1]
    if len(lams) > 2 or variant == "exact" or start == -math.inf:
        return exponential_weights(lams, start, end, rate)
    size = rate * (end - start) if variant == "bh1" else None
    return midpoint_weights(other, start, end, rate, size)


def unified_step(
    x: Tensor, start: Point, end: Point, nodes: Sequence[Node], variant: Variant, form: Literal["x0", "eps"] = "x0"
) -> Tensor:
    """x from ``start`` to ``end`` with the evaluations of these nodes, the first of them at the start: UniP where all
    of them lie there or before, UniC where the last one lies at the end.
    """
    rate = 1.0 if form == "x0" else -1.0
    lams = [node.point.lam for node in nodes]
    if len(lams) == 1:
        weights: tuple[float, ...] = (-math.expm1(-rate * (end.lam - start.lam)),)
    else:
        weights = unified_weights(lams, end.lam, rate, variant)
    return exponential_step(x, start, end, weights, [node.value for node in nodes], form)
