"""The pieces that schedulers are written with: linear combinations, weights, noise to add, thresholding.

Names are imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentry._lazy import lazy_exports

if TYPE_CHECKING:
    from latentry._numerics._interval import Form
    from latentry._numerics._layout import Hook
    from latentry._numerics._linear import combine
    from latentry._numerics._plan import InitialNoise
    from latentry._numerics._solvers._adaptive import Adaptive, StepController, reach
    from latentry._numerics._solvers._ancestral import Ancestral, EtaRule, ancestral
    from latentry._numerics._solvers._churn import Churn, raised_sample
    from latentry._numerics._solvers._exponential import Rule, exponential_sde_step, exponential_step
    from latentry._numerics._solvers._fitted import Fitted, fitted_weights
    from latentry._numerics._solvers._guard import (
        FITTED,
        INNER,
        STAGES,
        Guarded,
        GuardedOrders,
        GuardedStages,
        extrapolation_gain,
        guarded,
        limit_for,
    )
    from latentry._numerics._solvers._heun import heun_step
    from latentry._numerics._solvers._multistep import exponential_multistep
    from latentry._numerics._solvers._slopes import slope_step, time_of, velocity_step
    from latentry._numerics._solvers._stages import StagedSDE, along_path, exponential_stages
    from latentry._numerics._solvers._thresholding import DynamicThreshold
    from latentry._numerics._solvers._weights import (
        SlopeWeight,
        exponential_weights,
        midpoint_weights,
        polynomial_weights,
        two_point_rule,
    )
else:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            "Form": "_numerics._interval",
            "combine": "_numerics._linear",
            "Hook": "_numerics._layout",
            "InitialNoise": "_numerics._plan",
            "Adaptive": "_numerics._solvers._adaptive",
            "StepController": "_numerics._solvers._adaptive",
            "reach": "_numerics._solvers._adaptive",
            "Ancestral": "_numerics._solvers._ancestral",
            "EtaRule": "_numerics._solvers._ancestral",
            "ancestral": "_numerics._solvers._ancestral",
            "Churn": "_numerics._solvers._churn",
            "raised_sample": "_numerics._solvers._churn",
            "Rule": "_numerics._solvers._exponential",
            "exponential_sde_step": "_numerics._solvers._exponential",
            "Fitted": "_numerics._solvers._fitted",
            "fitted_weights": "_numerics._solvers._fitted",
            "extrapolation_gain": "_numerics._solvers._guard",
            "guarded": "_numerics._solvers._guard",
            "Guarded": "_numerics._solvers._guard",
            "GuardedOrders": "_numerics._solvers._guard",
            "GuardedStages": "_numerics._solvers._guard",
            "FITTED": "_numerics._solvers._guard",
            "INNER": "_numerics._solvers._guard",
            "STAGES": "_numerics._solvers._guard",
            "limit_for": "_numerics._solvers._guard",
            "exponential_step": "_numerics._solvers._exponential",
            "heun_step": "_numerics._solvers._heun",
            "exponential_multistep": "_numerics._solvers._multistep",
            "slope_step": "_numerics._solvers._slopes",
            "time_of": "_numerics._solvers._slopes",
            "velocity_step": "_numerics._solvers._slopes",
            "StagedSDE": "_numerics._solvers._stages",
            "along_path": "_numerics._solvers._stages",
            "exponential_stages": "_numerics._solvers._stages",
            "DynamicThreshold": "_numerics._solvers._thresholding",
            "SlopeWeight": "_numerics._solvers._weights",
            "exponential_weights": "_numerics._solvers._weights",
            "midpoint_weights": "_numerics._solvers._weights",
            "polynomial_weights": "_numerics._solvers._weights",
            "two_point_rule": "_numerics._solvers._weights",
        },
    )

__all__ = [
    "FITTED",
    "INNER",
    "STAGES",
    "Adaptive",
    "Ancestral",
    "Churn",
    "DynamicThreshold",
    "EtaRule",
    "Fitted",
    "Form",
    "Guarded",
    "GuardedOrders",
    "GuardedStages",
    "Hook",
    "InitialNoise",
    "Rule",
    "SlopeWeight",
    "StagedSDE",
    "StepController",
    "along_path",
    "ancestral",
    "combine",
    "exponential_multistep",
    "exponential_sde_step",
    "exponential_stages",
    "exponential_step",
    "exponential_weights",
    "extrapolation_gain",
    "fitted_weights",
    "guarded",
    "heun_step",
    "limit_for",
    "midpoint_weights",
    "polynomial_weights",
    "raised_sample",
    "reach",
    "slope_step",
    "time_of",
    "two_point_rule",
    "velocity_step",
]
