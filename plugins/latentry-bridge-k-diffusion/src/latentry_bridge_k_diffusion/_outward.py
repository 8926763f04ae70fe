"""A Latentry scheduler as one of k-diffusion's ``sample_*`` functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from latentry import EDM, Flow, IncompatibleError, Plan, PluginHost, Prediction, Process, Scheduler, VariancePreserving
from latentry.names import understand
from latentry_bridge_k_diffusion._noise import NoiseSampler, noise_source

Denoiser = Callable[..., Tensor]
"""k-diffusion's model: ``model(x, sigma, **extra_args)`` with sigma of shape (batch,) returns x₀."""
Callback = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Sampler:
    """A scheduler with k-diffusion's signature; made by ``sampler``. It keeps nothing between calls.

    Attributes:
        scheduler: with its options.
        process: what ``x`` and ``sigmas`` are of: rectified flow, or σ/α and x/α.
        name: ``distribution:name`` of the scheduler.
    """

    scheduler: Scheduler
    process: Process
    name: str

    @property
    def __name__(self) -> str:
        """As k-diffusion's functions are named: ``sample_unipc``."""
        return f"sample_{self.name.rpartition(':')[2].replace('-', '_')}"

    @torch.no_grad()
    def __call__(
        self,
        model: Denoiser,
        x: Tensor,
        sigmas: Tensor,
        extra_args: Mapping[str, Any] | None = None,
        callback: Callback | None = None,
        disable: bool | None = None,
        noise_sampler: NoiseSampler | None = None,
        unguided: Callable[[], Tensor] | None = None,
    ) -> Tensor:
        """Samples.

        Args:
            model: called as ``model(x, sigma, **extra_args)``; returns the guided x₀.
            x: (batch, …) at the level ``sigmas[0]``: x₀ + σ·ε, and (1 − σ)·x₀ + σ·ε on flow.
            sigmas: levels, 1-D, falling, or rising to invert; with fewer than two, ``x`` is returned.
            extra_args: for the model; a ``seed`` in it keys the noise where no ``noise_sampler`` is given.
            callback: called once a step with ``x``, ``i``, ``sigma``, ``sigma_hat`` and ``denoised``.
            disable: accepted; the callback is the only progress.
            noise_sampler: called with two levels; returns standard normal noise like ``x``.
            unguided: returns x₀ without guidance of the evaluation that was just made; needed by CFG++.

        Returns:
            the sample at the last level, in the dtype of ``x``.

        Raises:
            IncompatibleError: the scheduler needs the unguided x₀, or takes one sample at a time.
        """
        if len(sigmas) < 2:
            return x
        plan = self._plan(sigmas)
        if plan.scheduler.needs and unguided is None:
            raise IncompatibleError(
                f"{self.name} needs x₀ without guidance too.",
                why="A k-diffusion model returns the guided one alone.",
                remedy="Pass unguided=, or use another scheduler.",
            )
        extra_args = extra_args or {}
        noise = noise_source(plan, sigmas, noise_sampler, extra_args.get("seed"))
        start = plan.points[0].alpha
        run = plan.start(x if start == 1.0 or self._flow else x * start, noise=noise)
        try:
            while (query := run.query) is not None:
                shown = (query.x if self._flow else query.x / query.point.alpha).to(x.dtype)
                sigma = query.point.sigma if self._flow else query.point.s
                denoised = model(shown, x.new_full((x.shape[0],), sigma), **extra_args)
                if callback is not None and query.stage == 0:
                    told = {"sigma": sigmas[query.index], "sigma_hat": sigmas.new_tensor(sigma)}
                    callback({"x": shown, "i": query.index, "denoised": denoised, **told})
                run.advance(denoised, uncond=unguided() if unguided and plan.scheduler.needs else None)
        finally:
            run.close()
        end = 1.0 if self._flow else plan.points[-1].alpha
        return (run.sample / end).to(x.dtype)

    @property
    def _flow(self) -> bool:
        return self.process.kind == "flow"

    def _plan(self, sigmas: Tensor) -> Plan:
        points = tuple(self.process.customary(sigma) for sigma in sigmas.tolist())
        return Plan(self.scheduler, self.process, Prediction.X0, points)


def sampler(name: str, *, flow: bool = False, host: PluginHost | None = None, **options: Any) -> Sampler:
    """A scheduler as a function that can stand in for k-diffusion's own: ``sampler("unipc", order=3)``.

    Args:
        name: any of the scheduler's names, those in other programs included; a sigma schedule in it is left out, since
            the levels are given with each call.
        flow: the model is a rectified flow and the sigmas are its t, as in ComfyUI and Forge; otherwise σ/α.
        host: what is installed.
        options: of the scheduler.

    Raises:
        UnknownName: nothing installed has that name.
        OptionError: an option is unknown or out of range.
        IncompatibleError: the scheduler is not for such models.
    """
    host = host or PluginHost()
    meaning = understand(host, name)
    scheduler = host.schedulers.create(meaning.scheduler, **{**meaning.options, **options})
    return Sampler(scheduler, _process(host, meaning.scheduler, flow=flow), meaning.scheduler)


def _process(host: PluginHost, name: str, *, flow: bool) -> Process:
    """A process on which the scheduler is right; what it makes of x/α is the same on VP and on EDM."""
    processes = host.schedulers[name].processes
    if flow and "flow" in processes:
        return Flow()
    if not flow and "edm" in processes:
        return EDM()
    if not flow and "vp" in processes:
        return VariancePreserving.from_betas()
    raise IncompatibleError(
        f"The scheduler {name} cannot be used on {'rectified flows' if flow else 'levels σ/α'}.",
        why=f"It works on {', '.join(sorted(processes))} processes.",
        remedy="`latentry schedulers` lists what each scheduler works on.",
    )
