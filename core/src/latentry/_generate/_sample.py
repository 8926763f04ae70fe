"""The whole loop in one call, for a network that is not a plugin's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from latentry._contract._noise_settings import NoiseSettings
from latentry._discovery import PluginHost
from latentry._numerics._grids._sigma_schedule import SigmaSchedule
from latentry._numerics._plan import Plan
from latentry._numerics._processes._prediction import Prediction
from latentry._numerics._processes._process import Process
from latentry._numerics._running._noise import NoiseSource
from latentry._numerics._running._run import Run
from latentry._numerics._scheduler import Scheduler
from latentry._resolve._planning._on_process import plan_on_process
from latentry._specs import Final

Network = Callable[[Tensor, float], Tensor | tuple[Tensor, Tensor]]
"""(scaled samples, timestep) → output, or (guided output, the one without guidance)."""


def sample(
    model: Network,
    x: Tensor,
    *,
    scheduler: Scheduler | str,
    steps: int | None = None,
    process: Process,
    prediction: Prediction,
    sigmas: SigmaSchedule | Sequence[float] | None = None,
    shift: float | None = None,
    final: Final | None = None,
    seed: int = 0,
    noise: NoiseSource | None = None,
    host: PluginHost | None = None,
) -> Tensor:
    """Samples from noise to the end of a plan.

    Gradients are as the caller has set them: wrap the call in ``torch.no_grad()`` or ``torch.inference_mode()`` if none
    are wanted.

    Args:
        model: the network, called with scaled samples (batch, …) and the timestep on the process's own scale. It gives
            what ``prediction`` says; for schedulers that need the output without guidance too, a pair of both.
        x: standard normal noise (batch, …); it is scaled to the first level here. Half precision becomes float32.
        scheduler: an object, or a name, other programs' names included: ``unipc``, ``dpmpp_2m_karras``.
        steps: how many; may be left out where ``sigmas`` is a list.
        process: how noise was added in training, for example ``VariancePreserving.from_betas()`` or ``Flow()``.
        prediction: what the network emits.
        sigmas: as for ``Scheduler.plan``; by default what the scheduler, or the name, prefers.
        shift: the checkpoint's time shift, where ``sigmas`` is left out.
        final: as for ``Scheduler.plan``.
        seed: of stochastic schedulers.
        noise: what stochastic schedulers draw from instead.
        host: finds a scheduler's name; by default a new one with everything that is installed.

    Returns:
        the sample at the end, of x's shape, float32 or float64.

    Raises:
        UnknownName, OptionError, IncompatibleError: the parts do not go together.
    """
    if not isinstance(scheduler, str):
        made = scheduler
    elif sigmas is None and steps is not None:  # the name may hold a sigma schedule
        settings = NoiseSettings(process, Prediction(prediction))
        named = plan_on_process(
            host or PluginHost(), scheduler, settings, steps, options={}, sigma_options={}, final=final, shift=shift
        )
        made, sigmas, final, shift = named.scheduler.scheduler, named.sigmas.schedule, named.sigmas.final, None
    else:
        made = (host or PluginHost()).schedulers.create(scheduler)
    plan = made.plan(steps, process=process, prediction=prediction, sigmas=sigmas, shift=shift, final=final)
    begun = x * plan.noise_scale()
    return torch.cat([_finish(run, model) for run in _starts(plan, begun, seed, noise)])


def _starts(plan: Plan, x: Tensor, seed: int, noise: NoiseSource | None) -> Iterator[Run]:
    """One run; one for each sample where the scheduler chooses its steps by the error it sees."""
    if not plan.scheduler.adaptive:
        yield plan.start(x, seed=seed, noise=noise)
        return
    for i in range(len(x)):
        yield plan.start(x[i : i + 1], seed=seed, samples=[i], noise=noise)


def _finish(run: Run, model: Network) -> Tensor:
    while (query := run.query) is not None:
        output = model(query.input, query.timestep)
        guided, uncond = output if isinstance(output, tuple) else (output, None)
        run.advance(guided, uncond=uncond)
    return run.sample
