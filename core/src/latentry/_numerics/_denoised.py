"""One evaluation of the network, in whichever form a solver wants it."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from latentry._numerics._linear import combine
from latentry._numerics._processes._point import Point
from latentry._numerics._processes._prediction import Forms


class Denoised:
    """The network's answer to a query; x₀, ε and v are computed on first use.

    Attributes:
        x: the sample that was evaluated, process-native.
        point: its noise level.
        output: the guided network output, in the sample's dtype.
        real: False marks an answer that a step cache made up; it never enters a multistep history.
    """

    def __init__(
        self,
        x: Tensor,
        point: Point,
        output: Tensor,
        forms: Forms,
        *,
        uncond: Tensor | None = None,
        real: bool = True,
        x0: Tensor | None = None,
    ) -> None:
        self.x, self.point, self.output, self.real = x, point, output, real
        self._forms, self._uncond, self._x0 = forms, uncond, x0

    @property
    def changed(self) -> bool:
        """Whether a hook gave another x₀ than the output says."""
        return self._x0 is not None

    @cached_property
    def x0(self) -> Tensor:
        """The clean sample x₀ that the network predicts."""
        if self._x0 is not None:
            return self._x0
        return combine((self._forms.x0_x, self.x), (self._forms.x0_out, self.output))

    @cached_property
    def eps(self) -> Tensor:
        """The noise ε that the network predicts; follows from x₀ where that was replaced (not at σ = 0)."""
        a, s = self.point.alpha, self.point.sigma
        if self._x0 is not None and s > 0.0:
            return combine((1.0 / s, self.x), (-a / s, self._x0))
        return combine((self._forms.eps_x, self.x), (self._forms.eps_out, self.output))

    @cached_property
    def v(self) -> Tensor:
        """The flow velocity ε − x₀."""
        return self.eps - self.x0

    @cached_property
    def uncond(self) -> Denoised | None:
        """The same evaluation without guidance; None unless the host computed it."""
        if self._uncond is None:
            return None
        return Denoised(self.x, self.point, self._uncond, self._forms, real=self.real)

    def at(self, point: Point) -> Tensor:
        """α·x₀ + σ·ε at another level: the first-order step, DDIM (Song et al. 2020, eq. 12 with σ = 0) and Euler."""
        if point.sigma == 0.0:
            return combine((point.alpha, self.x0))
        if self._x0 is not None:
            return point.mix(self._x0, self.eps)
        f = self._forms
        on_x = point.alpha * f.x0_x + point.sigma * f.eps_x
        on_output = point.alpha * f.x0_out + point.sigma * f.eps_out
        return combine((on_x, self.x), (on_output, self.output))

    def with_x0(self, x0: Tensor) -> Denoised:
        """The same evaluation with another x₀ (thresholding, inpainting); ε follows from x = α·x₀ + σ·ε."""
        return Denoised(self.x, self.point, self.output, self._forms, uncond=self._uncond, real=self.real, x0=x0)
