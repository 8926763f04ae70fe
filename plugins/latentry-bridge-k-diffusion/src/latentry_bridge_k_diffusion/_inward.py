"""k-diffusion's ``sample_*`` functions as Latentry schedulers."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

from pydantic import Field, create_model
from torch import Tensor

from latentry import Evaluator, Noise, OptionError, Point, WholeScheduler

Function = Callable[..., Any]
"""A sampler in k-diffusion's convention."""

_ARGUMENTS = ("model", "x", "extra_args", "callback", "disable")
"""What every sampler takes."""
_GIVEN = frozenset({*_ARGUMENTS, "sigmas", "sigma_min", "sigma_max", "n", "noise_sampler", "return_info"})
_OF_NOISE = frozenset({"eta", "s_churn", "s_tmin", "s_tmax", "s_noise"})
"""What says how much noise is added; without a ``noise_sampler`` it would not be the run's own."""


class KDiffusionScheduler(WholeScheduler):
    """A sampler of k-diffusion on the whole grid; ``scheduler`` makes a class of each function.

    On VP and EDM it is given x/α and levels σ/α; on a rectified flow its own x and σ = t, as ComfyUI does it.

    Class attributes:
        function: the sampler.
    """

    function: ClassVar[Function]

    def solve(self, x: Tensor, points: Sequence[Point], evaluate: Evaluator, noise: Noise) -> Tensor:
        """See ``WholeScheduler``. Each call reads the level that the function asks for on the host."""
        flow = evaluate.process.kind == "flow"
        if not (flow or math.isfinite(points[0].s)):  # x/α has no limit at pure noise
            x, points = evaluate(x, points[0]).at(points[1]), points[1:]
        if len(points) == 2 and points[1].sigma == 0.0 and not self.adaptive:
            return evaluate(x, points[0]).at(points[1])  # their last step is x₀, and some need another before it
        return x if len(points) < 2 else self._called(x, points, evaluate, noise, _Scale(flow=flow))

    def _called(self, x: Tensor, points: Sequence[Point], evaluate: Evaluator, noise: Noise, scale: _Scale) -> Tensor:
        def model(sample: Tensor, sigma: Tensor, **_: Any) -> Tensor:
            point = evaluate.process.customary(float(sigma.flatten()[0]))
            return evaluate(scale.native(sample, point), point).x0

        given: dict[str, Any] = {"disable": True, **self.model_dump()}
        parameters = inspect.signature(self.function).parameters
        if "noise_sampler" in parameters:
            given["noise_sampler"] = lambda sigma, sigma_next: noise()
        sample = scale.theirs(x, points[0])
        if "sigmas" in parameters:
            sigmas = x.new_tensor([scale.level(point) for point in points])
            return scale.native(self.function(model, sample, sigmas, **given), points[-1])
        last = self._above_zero(points, evaluate)
        given |= {"sigma_min": scale.level(last), "sigma_max": scale.level(points[0])}
        given |= {"n": len(points) - 1} if "n" in parameters else {}
        sample = scale.native(self.function(model, sample, **given), last)
        return sample if last is points[-1] else evaluate(sample, last).at(points[-1])

    def _above_zero(self, points: Sequence[Point], evaluate: Evaluator) -> Point:
        """Where a function stops that takes two levels above 0; from there x₀ is one evaluation away."""
        if points[-1].sigma > 0.0:
            return points[-1]
        cleanest = evaluate.process.cleanest
        return cleanest if self.adaptive and points[0].lam < cleanest.lam < math.inf else points[-2]


class _Scale:
    """Between the process's own samples and levels, and those that k-diffusion works on."""

    def __init__(self, *, flow: bool) -> None:
        self._flow = flow

    def level(self, point: Point) -> float:
        return point.sigma if self._flow else point.s

    def native(self, sample: Tensor, point: Point) -> Tensor:
        return sample if self._flow else sample * point.alpha

    def theirs(self, x: Tensor, point: Point) -> Tensor:
        return x if self._flow else x / point.alpha


@cache
def scheduler(function: Function, *, adaptive: bool = False) -> type[KDiffusionScheduler]:
    """The scheduler of a sampler, with an option for each argument that has a plain default.

    Noise is the run's own, so that an argument that adds noise is an option only where the function takes a
    ``noise_sampler``.

    Args:
        function: ``(model, x, sigmas, extra_args, callback, disable, **options)``, or with ``sigma_min`` and
            ``sigma_max``, and possibly ``n``, in place of ``sigmas``.
        adaptive: it chooses its own steps, by the error that it sees.

    Raises:
        OptionError: the function is not a sampler.
    """
    parameters = inspect.signature(function).parameters
    name = getattr(function, "__name__", type(function).__name__)
    if not {"model", "x"} <= parameters.keys() or not ({"sigmas", "sigma_min"} & parameters.keys()):
        raise OptionError(
            f"{name} is not a sampler in k-diffusion's convention.",
            why=f"Its arguments are {', '.join(parameters) or 'none'}.",
            remedy="Give a function of (model, x, sigmas, extra_args, callback, disable).",
        )
    made = create_model(
        "".join(part.title() for part in name.removeprefix("sample_").split("_")),
        __base__=KDiffusionScheduler,
        __module__=__name__,
        __doc__=inspect.getdoc(function) or f"{name}, a sampler in k-diffusion's convention.",
        **_options(parameters),
    )
    made.function, made.adaptive = staticmethod(function), adaptive
    return made


def _options(parameters: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    hidden = _GIVEN if "noise_sampler" in parameters else _GIVEN | _OF_NOISE
    return {
        name: (type(parameter.default), Field(default=parameter.default, description=f"the function's {name}"))
        for name, parameter in parameters.items()
        if name not in hidden and isinstance(parameter.default, bool | int | float | str)
    }
