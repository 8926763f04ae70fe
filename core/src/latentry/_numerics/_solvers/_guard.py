"""The guard against run-away extrapolation: how far a step of higher order may differ from the first-order one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, cast

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from latentry._numerics._denoised import Denoised
from latentry._numerics._linear import combine
from latentry._numerics._processes._point import Point
from latentry._numerics._table._symbol import Symbol

FREE = 0.45
"""Steps up to this length in λ are never drawn back: there a difference is what the higher order is for, and not an
extrapolation gone wrong. So no order is lost as steps get shorter.
"""
LIMIT, LIMIT_WEAK, LIMIT_GUIDED, GUIDED = 0.5, 1.0, 0.3, 3.0
"""κ where the guidance is not known, κ under little and under strong guidance, and the scale above which it is strong:
it pulls x̂₀ about, and what is extrapolated from that runs away sooner.
"""
INNER = 2.0
"""Of methods with evaluations within the step; see ``Guarded.guard_slack``."""
STAGES = 0.5
"""Of the same where they are drawn back to steps between their evaluations, which are less far from the full step."""
FITTED = 1.0
"""Of such where the step is exact on N(0, 1): it differs more from those between its evaluations, and is right."""
LATER = ("guard_noise", "guard_stages", "guard_length", "guard_orders")
"""Options that came after the guard; recipes from before have the values False."""


def limit_for(guidance: float) -> float:
    """The κ that suits a scale of classifier-free guidance; 1 is none."""
    return LIMIT_WEAK if guidance <= GUIDED else LIMIT_GUIDED


class Guarded(BaseModel):
    """The options of schedulers that extrapolate. A scheduler inherits from this class and from ``Scheduler``, and says
    in its record from which revision on (``guard_since``).

    Class attributes:
        guard_slack: what κ is multiplied by. ``INNER`` where what is added comes from evaluations within the step: they
            have seen where it leads, and are right to differ more.
    """

    guard_slack: ClassVar[float] = 1.0

    guard: bool = Field(
        default=True, description="draw long steps back towards first order where they extrapolate x₀ too far"
    )
    guard_limit: float = Field(
        default=LIMIT,
        gt=0.0,
        allow_inf_nan=False,
        description="κ: how far, as a part of x₀'s size; at twice that a step is of first order. A request that does "
        "not say it has 1 up to guidance 3, and 0.3 above",
    )
    guard_noise: bool = Field(
        default=True,
        description="multiply κ by √(σ/α) of the level where a step ends, if that is over 1; pictures made before "
        "there was this option are made again without it",
    )

    def drawn_back(
        self,
        full: Tensor,
        denoised: Denoised,
        end: Point,
        *,
        first: Tensor | None = None,
        start: Point | None = None,
        slack: float | None = None,
    ) -> Tensor:
        """A step of higher order, or less of it (``guarded``); the step itself where it is short.

        Args:
            full: the step, before noise is added.
            denoised: the evaluation whose x̂₀ is the measure.
            end: where the step ends; the level below the end where noise is added from there.
            first: the first-order step; by default that of ``denoised`` from its own sample.
            start: where the step begins; by default the level of ``denoised``.
            slack: what κ is multiplied by, where ``guard_slack`` is not.
        """
        h = end.lam - (denoised.point if start is None else start).lam
        if not self.guard or abs(h) <= FREE or end.alpha == 0.0:  # no x₀ is left in pure noise
            return full
        first = denoised.at(end) if first is None else first
        allowance = noise_allowance(end.s) if self.guard_noise else 1.0
        kappa = (self.guard_slack if slack is None else slack) * self.guard_limit * allowance
        if kappa == 0.0:
            return first
        return guarded(first, full, denoised.x0, gain=extrapolation_gain(end.alpha, h), kappa=kappa)


class GuardedOrders(Guarded):
    """The options of multistep schedulers of the third order.

    Drawn back to first order at once, a step would lose its second order where only the third runs away.
    """

    guard_orders: bool = Field(
        default=True,
        description="draw a step of third order back towards second order first, and the rest towards first order; "
        "pictures made before there was this option are made again without it",
    )

    def drawn_back_by_orders(
        self, full: Tensor, second: Callable[[], Tensor], denoised: Denoised, end: Point
    ) -> Tensor:
        """A step of an order over 2, or less of it.

        Args:
            full: the step.
            second: gives the step of order 2.
            denoised: as of ``drawn_back``.
            end: as of ``drawn_back``.
        """
        if self.guard and self.guard_orders and abs(end.lam - denoised.point.lam) > FREE:
            full = self.drawn_back(full, denoised, end, first=second())
        return self.drawn_back(full, denoised, end)


class GuardedStages(Guarded):
    """The options of schedulers that extrapolate from evaluations within a step.

    Drawn back, such a step is two of first order, to the inner level and on from there: no evaluation is lost. κ is
    multiplied by ``STAGES`` or ``FITTED`` then, and by ``guard_slack`` without ``guard_stages``.
    """

    guard_slack: ClassVar[float] = INNER

    guard_stages: bool = Field(
        default=True,
        description="draw back to first-order steps from one evaluation to the next, not to one over the whole step; "
        "pictures made before there was this option are made again without it",
    )
    guard_length: bool = Field(
        default=True,
        description="divide κ by the step's length in λ, if that is over 1: evaluations say less about longer steps "
        "(fitted ones are exact on a Gaussian at any length, and have it whole); pictures made before there was this "
        "option are made again without it",
    )

    def drawn_back_to_stages(
        self, full: Tensor, here: Denoised, there: Denoised, end: Point, *, fitted: bool = False
    ) -> Tensor:
        """A step of two evaluations, or less of it.

        Args:
            full: the step, before noise is added.
            here: the evaluation at its start.
            there: the one within it, of the sample that the first-order step from ``here`` leads to.
            end: as of ``drawn_back``.
            fitted: whether its weights are ``fitted_weights``.
        """
        if fitted and self.guard_stages:
            return self.drawn_back(full, there, end, first=there.at(end), start=here.point, slack=FITTED)
        first, slack = (there.at(end), STAGES) if self.guard_stages else (here.at(end), self.guard_slack)
        return self.drawn_back_over_its_length(full, here.point, there, end, first, slack)

    def drawn_back_to_mean(
        self, full: Tensor, guess: Tensor, here: Denoised, there: Denoised, end: Point, *, slack: float | None = None
    ) -> Tensor:
        """A step of two evaluations, one at each of its ends, or less of it: the one with the mean of both x̂₀, which is
        exact where x̂₀ stays as it is; the first-order step without ``guard_stages``.

        Args:
            full: the step, before noise is added.
            guess: the first-order step from ``here``.
            here: the evaluation at its start.
            there: the one at its end, of ``guess``.
            end: as of ``drawn_back``.
            slack: as of ``drawn_back``.
        """
        start, first = here.point, guess
        if self.guard_stages and start.sigma > 0.0:
            half = 0.5 * (end.alpha - start.alpha * end.sigma / start.sigma)  # of what x̂₀ has in a first-order step
            first = combine((1.0, guess), (half, there.x0), (-half, here.x0))
        slack = self.guard_slack if slack is None else slack
        return self.drawn_back_over_its_length(full, start, there, end, first, slack)

    def drawn_back_over_its_length(
        self, full: Tensor, start: Point, there: Denoised, end: Point, first: Tensor, slack: float
    ) -> Tensor:
        """``drawn_back`` by a κ that falls with the step's length: from pure noise, whose step is infinite, to 0.

        Args:
            full: the step, before noise is added.
            start: where the step begins.
            there: the evaluation whose x̂₀ is the measure.
            end: as of ``drawn_back``.
            first: what it is drawn back to.
            slack: what κ is multiplied by, besides.
        """
        length = abs(end.lam - start.lam) if self.guard_length else 1.0
        return self.drawn_back(full, there, end, first=first, start=start, slack=slack / max(1.0, length))


def noise_allowance(s: float) -> float:
    """√max(1, s): what κ is multiplied by where a step ends at s = σ/α.

    A difference of x̂₀ smaller than the noise beside it is put right by the steps to come. Without this factor the
    first steps of a flow lose more under guidance than the guard saves (``python benchmarks/defaults.py``). With s
    itself, the shipped UNets end up to 2.4 times as far off at guidance 7.5.
    """
    return math.sqrt(max(1.0, s))


def extrapolation_gain(alpha: float, h: float) -> float:
    """1/(α·(1 − e^−h)): turns what a step of length h adds to x into a difference of x̂₀.

    Args:
        alpha: α where the step ends.
        h: length of the step in λ, not 0; infinite from pure noise.
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
    return x.reshape(len(x), -1).square().mean(1).sqrt()
