"""Sigma schedules: the rules that place a run's noise levels, and the time shift.

Names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry._lazy import lazy_exports

if TYPE_CHECKING:
    from latentry._numerics._grids._even import Normal, SGMUniform, Simple
    from latentry._numerics._grids._rules._align_your_steps import AlignYourSteps
    from latentry._numerics._grids._rules._beta import Beta, BetaSigmas
    from latentry._numerics._grids._rules._exponential import Exponential, Polyexponential
    from latentry._numerics._grids._rules._karras import Karras
    from latentry._numerics._grids._rules._kl_optimal import KLOptimal
    from latentry._numerics._grids._rules._linear_quadratic import LinearQuadratic
    from latentry._numerics._grids._rules._receding import Receding
    from latentry._numerics._grids._shift import resolution_shift, shifted
    from latentry._numerics._grids._sigma_schedule import ExactSigmas, SigmaSchedule
    from latentry._numerics._grids._spacings import Leading, Linspace, Trailing
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "AlignYourSteps": "_numerics._grids._rules._align_your_steps",
            "Beta": "_numerics._grids._rules._beta",
            "BetaSigmas": "_numerics._grids._rules._beta",
            "Normal": "_numerics._grids._even",
            "SGMUniform": "_numerics._grids._even",
            "Simple": "_numerics._grids._even",
            "Exponential": "_numerics._grids._rules._exponential",
            "Polyexponential": "_numerics._grids._rules._exponential",
            "Receding": "_numerics._grids._rules._receding",
            "Karras": "_numerics._grids._rules._karras",
            "KLOptimal": "_numerics._grids._rules._kl_optimal",
            "LinearQuadratic": "_numerics._grids._rules._linear_quadratic",
            "resolution_shift": "_numerics._grids._shift",
            "shifted": "_numerics._grids._shift",
            "ExactSigmas": "_numerics._grids._sigma_schedule",
            "SigmaSchedule": "_numerics._grids._sigma_schedule",
            "Leading": "_numerics._grids._spacings",
            "Linspace": "_numerics._grids._spacings",
            "Trailing": "_numerics._grids._spacings",
        },
    )

__all__ = [
    "AlignYourSteps",
    "Beta",
    "BetaSigmas",
    "ExactSigmas",
    "Exponential",
    "KLOptimal",
    "Karras",
    "Leading",
    "LinearQuadratic",
    "Linspace",
    "Normal",
    "Polyexponential",
    "Receding",
    "SGMUniform",
    "SigmaSchedule",
    "Simple",
    "Trailing",
    "resolution_shift",
    "shifted",
]
