"""diffusers' scheduler classes as Latentry schedulers."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar

import torch
from pydantic import Field, create_model
from torch import Tensor

from latentry import Denoised, Evaluator, Noise, Point, WholeScheduler
from latentry_bridge_diffusers._fitting import Fitted, fitted
from latentry_bridge_diffusers._noise import seed_of

_OF_THE_CHECKPOINT = frozenset(
    {
        *("num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "prediction_type"),
        *("timestep_spacing", "steps_offset", "rescale_betas_zero_snr", "set_alpha_to_one", "final_sigmas_type"),
        *("sigma_min", "sigma_max", "sigma_data", "sigma_schedule", "shift", "flow_shift", "use_flow_sigmas"),
        *(
            "use_dynamic_shifting",
            "base_shift",
            "max_shift",
            "base_image_seq_len",
            "max_image_seq_len",
            "variance_type",
        ),
        *(
            "time_shift_type",
            "shift_terminal",
            "invert_sigmas",
            "stochastic_sampling",
            "noise_sampler_seed",
            "use_karras_sigmas",
        ),
        *("use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas", "rho", "clip_sample", "clip_sample_range"),
        *("thresholding", "dynamic_thresholding_ratio", "sample_max_value", "original_inference_steps"),
    }
)
"""Arguments that say something about the checkpoint or the grid, which are given here, or about pixels."""


class DiffusersScheduler(WholeScheduler):
    """A scheduler class of diffusers on the whole grid; ``wrapped`` makes one of each class.

    Each run makes an object of the class for itself, on the checkpoint's noise process. Levels are the plan's where the
    class takes them, or can lay them out with one of its spacings; others are refused.

    Class attributes:
        peer: the class.
    """

    peer: ClassVar[type]

    def solve(self, x: Tensor, points: Sequence[Point], evaluate: Evaluator, noise: Noise) -> Tensor:
        """See ``WholeScheduler``; the levels are read on the host."""
        fit = fitted(self.peer, self.model_dump(), evaluate.process, points)
        given = self._noise(fit.peer, x, noise)
        sample = x / fit.scale_of(points[0])
        for entry in range(fit.first, len(fit.peer.timesteps)):
            timestep = fit.peer.timesteps[entry]
            shown = fit.peer.scale_model_input(sample, timestep) if hasattr(fit.peer, "scale_model_input") else sample
            point = fit.level(entry, evaluate)
            native = sample if evaluate.process.kind == "edm" else shown
            answer = evaluate(native.to(x), point)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of rounded levels, and of numpy's
                sample = fit.peer.step(_output(fit, answer, point), timestep, sample, return_dict=False, **given)[0]
        return (sample * fit.scale_of(points[-1])).to(x)

    @staticmethod
    def _noise(peer: Any, x: Tensor, noise: Noise) -> dict[str, Any]:
        """What makes ``step`` draw from the run's own stream: a generator for each row, seeded from it."""
        takes_generator = "generator" in inspect.signature(peer.step).parameters
        if not (takes_generator or hasattr(peer, "noise_sampler_seed")):
            return {}
        seeds = [seed_of(row) for row in noise()]
        if not takes_generator:
            peer.noise_sampler_seed = seeds
            return {}
        return {"generator": [torch.Generator().manual_seed(seed) for seed in seeds]}


def _output(fit: Fitted, answer: Denoised, point: Point) -> Tensor:
    """The network's output in the prediction type that the object was made for."""
    if fit.prediction == "flow_prediction":
        return answer.v
    if fit.prediction == "v_prediction":
        return point.alpha * answer.eps - point.sigma * answer.x0
    if fit.process.kind == "vp":
        return answer.eps
    data, total = fit.process.data_std, math.hypot(point.sigma, fit.process.data_std)
    return (answer.x0 - (data / total) ** 2 * answer.x) * (total / (point.sigma * data))


@cache
def wrapped(peer: type) -> type[DiffusersScheduler]:
    """The scheduler of a diffusers class, with an option for each of its settings that is not the checkpoint's."""
    parameters = inspect.signature(peer.__init__).parameters  # type: ignore[misc]
    fields: dict[str, Any] = {
        name: (type(parameter.default), Field(default=parameter.default, description=f"diffusers' {name}"))
        for name, parameter in parameters.items()
        if name not in _OF_THE_CHECKPOINT and isinstance(parameter.default, bool | int | float | str)
    }
    made = create_model(
        peer.__name__,
        __base__=DiffusersScheduler,
        __module__=__name__,
        __doc__=f"diffusers' {peer.__name__}.",
        **fields,
    )
    made.peer = peer
    return made
