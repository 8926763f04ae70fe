"""The stepwise interface of diffusers' schedulers, on top of a plan and a run."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from latentry._errors import IncompatibleError
from latentry._numerics._plan import Plan
from latentry._numerics._processes._point import Point, Query
from latentry._numerics._running._noise import Clock, KeyedNoise
from latentry._numerics._running._run import Run
from latentry._numerics._step import StepMethod


class Stepwise:
    """``timesteps``, ``scale_model_input`` and ``step``, for loops that are written that way.

    One call of ``step`` is one evaluation, so a two-stage scheduler has more timesteps than steps. The first call
    may use any timestep at which a step begins (image to image); the calls after it go in order.

    Attributes:
        timesteps: (evaluations,) float32: the timestep to pass to the network at each evaluation.
        sigmas: (evaluations + 1,) float32: σ of x at each evaluation, and at the end.
        init_noise_sigma: what standard normal noise is multiplied by to begin.
    """

    def __init__(self, plan: Plan, *, seed: int = 0) -> None:
        scheduler = plan.scheduler
        if plan.queries is None or scheduler.needs:
            wants = f"needs {', '.join(sorted(scheduler.needs))}" if scheduler.needs else "chooses its own steps"
            raise IncompatibleError(
                f"{type(scheduler).__name__} cannot be used step by step.",
                why=f"It {wants}, which a fixed list of timesteps and one output a call cannot express.",
                remedy="Use plan(...).start(x) and its queries.",
            )
        if any(query.stage == 0 and query.point.lam != plan.points[query.index].lam for query in plan.queries):
            raise self._changes_first(scheduler)
        self.plan, self._seed = plan, seed
        self._queries: tuple[Query, ...] = plan.queries
        levels = [query.point.sigma for query in plan.queries]
        self.timesteps = torch.tensor([query.timestep for query in plan.queries], dtype=torch.float32)
        self.sigmas = torch.tensor([*levels, plan.points[-1].sigma], dtype=torch.float32)
        self.init_noise_sigma = plan.noise_scale()
        self.reset()

    def reset(self) -> None:
        """Forgets the run, so that the next ``step`` begins another."""
        self._run: Run | None = None
        self._at: int | None = None
        self._sent: Tensor | None = None

    def __len__(self) -> int:
        return len(self._queries)

    def scale_model_input(self, sample: Tensor, timestep: Tensor | float) -> Tensor:
        """The sample times the level's input scale; (batch, …) in and out."""
        scale = self._queries[self._index(timestep)].point.scale
        return sample if scale == 1.0 else sample * scale

    def step(
        self,
        model_output: Tensor,
        timestep: Tensor | float,
        sample: Tensor,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Takes the output of one evaluation and returns the next sample to evaluate, or at the end the result.

        Args:
            model_output: what the network gave for the (scaled) sample at this timestep.
            timestep: the entry of ``timesteps`` that was used.
            sample: what the last call returned, or a changed copy of it; in the first call the start.
            generator: draws noise, in order; without one the noise is keyed by the seed given to ``build``.

        Raises:
            ValueError: the timestep is not the next one, or a first one at which no step begins.
        """
        index = self._index(timestep)
        if self._run is None:
            self._begin(index, sample, generator)
        elif sample is not self._sent:
            self._take_over(sample)
        assert self._run is not None
        self._run.advance(model_output)
        query = self._run.query
        self._at = index + 1
        self._sent = (self._run.sample if query is None else query.x).to(sample.dtype)
        if query is None:
            self._run = self._at = None
        return self._sent

    def add_noise(self, original: Tensor, noise: Tensor, timestep: Tensor | float) -> Tensor:
        """α·original + σ·noise at the level of a timestep, or of one timestep for each row of the batch."""
        # no conversion to float64: a timestep may be on a device that does not have it
        wanted = timestep.flatten().tolist() if isinstance(timestep, Tensor) else [float(timestep)]
        points = [self._level(t) for t in wanted]
        if len(points) == 1:
            return points[0].mix(original, noise)
        rows = (point.mix(original[i], noise[i]) for i, point in enumerate(points))
        return torch.stack(tuple(rows))

    def _begin(self, index: int, sample: Tensor, generator: torch.Generator | None) -> None:
        query = self._queries[index]
        if query.stage != 0:
            raise ValueError(f"timestep {query.timestep} lies inside a step: begin at one where a step begins")
        noise = KeyedNoise(self._seed, range(sample.shape[0])) if generator is None else _Drawn(generator)
        self._run = Run(self.plan, sample, noise, index=query.index)
        self._check_shown(self._run)

    def _take_over(self, sample: Tensor) -> None:
        """The caller changed the sample, for example by blending: a step that has not used it yet restarts with it."""
        assert self._run is not None
        query = self._run.query
        if query is None or query.stage == 0:
            self._run.reopen(sample)
            self._check_shown(self._run)
        elif self._sent is None or not torch.equal(sample, self._sent):
            raise ValueError("the sample may be changed between steps only, not between a step's evaluations")

    @classmethod
    def _check_shown(cls, run: Run) -> None:
        """The network has evaluated the sample itself: a step that needs another tensor evaluated cannot go on."""
        query = run.query
        if query is not None and query.x is not run.sample and not torch.equal(query.x, run.sample):
            raise cls._changes_first(run.plan.scheduler)

    @staticmethod
    def _changes_first(scheduler: StepMethod) -> IncompatibleError:
        return IncompatibleError(
            f"{type(scheduler).__name__} cannot be used step by step with these options.",
            why="It adds noise before it evaluates the network, and this loop evaluates the network first.",
            remedy="Use plan(...).start(x) and its queries, or leave the option out (churn).",
        )

    def _index(self, timestep: Tensor | float) -> int:
        wanted = float(timestep)
        if self._at is not None:
            if not _same(self._queries[self._at].timestep, wanted):
                expected = self._queries[self._at].timestep
                raise ValueError(
                    f"timestep {wanted:g} is out of order: {expected:g} comes next; call reset() to start again"
                )
            return self._at
        index = next((i for i, query in enumerate(self._queries) if _same(query.timestep, wanted)), None)
        if index is None:
            raise ValueError(f"timestep {wanted:g} is not among this plan's timesteps")
        return index

    def _level(self, timestep: float) -> Point:
        known = (query.point for query in self._queries if _same(query.timestep, timestep))
        return next(known, None) or self.plan.process.at(timestep=timestep)


def _same(timestep: float, other: float) -> bool:
    """Whether two timesteps are one, either having been through float32."""
    return math.isclose(timestep, other, rel_tol=1e-6, abs_tol=1e-9)


class _Drawn:
    """Noise in order from the caller's generator, as diffusers draws it."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def __call__(self, like: Tensor, interval: int, draw: int, clock: Clock | None) -> Tensor:
        device = self._generator.device
        return torch.randn(like.shape, generator=self._generator, device=device).to(like)
