"""The guard against run-away extrapolation: how far a step of higher order may differ from the first-order one."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor

from latentry._numerics._table._symbol import Symbol


def extrapolation_gain(alpha: float, h: float) -> float:
    """1/(α·(1 − e^−h)): turns what a step of length h adds to x into a difference of x̂₀.

    Args:
        alpha: α where the step ends.
        h: length of the step in λ, finite and not 0.
    """
    return 1.0 / (alpha * -math.expm1(-abs(h)))


def guarded(first: Tensor, full: Tensor, denoised: Tensor, *, gain: float, kappa: float) -> Tensor:
    """A step of higher order, drawn back to the first-order one where it extrapolates x̂₀ too far.

    With q = gain·rms(full − first)/rms(denoised) for each sample the result is
    first + min(1, max(0, 2 − q/κ))·(full − first): the full step up to q = κ, the first-order one from q = 2κ on. No
    sample depends on another, and nothing waits for the device.

    Args:
        first: the first-order step, (batch, …).
        full: the step of higher order.
        denoised: x̂₀ of the step, whose size is the measure.
        gain: from ``extrapolation_gain``.
        kappa: κ > 0, the share of x̂₀'s size by which it may be extrapolated; 0.3 to 0.5.
    """
    if isinstance(first, Symbol):
        return cast("Tensor", first.guarded(full, denoised, gain=gain, kappa=kappa))
    added = full.sub(first)
    # the smallest normal number keeps 0/0 from giving NaN where both parts are zero
    q = _rms(added).mul(gain).div(_rms(denoised).clamp_min(torch.finfo(first.dtype).tiny))
    share = q.mul(-1.0 / kappa).add(2.0).clamp(0.0, 1.0)
    return first.addcmul(added, share.view(-1, *[1] * (first.ndim - 1)))


def _rms(x: Tensor) -> Tensor:
    """(batch,): the root mean square of each sample."""
    return x.flatten(1).square().mean(1).sqrt()
