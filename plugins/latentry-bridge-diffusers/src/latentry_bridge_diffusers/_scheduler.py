"""A Latentry scheduler as diffusers' pipelines use one."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Sequence
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerMixin as SchedulerMixin
from diffusers.schedulers.scheduling_utils import SchedulerOutput
from torch import Tensor

from latentry import (
    Final,
    IncompatibleError,
    OptionError,
    Plan,
    PluginHost,
    Point,
    ProcessKind,
    Query,
    Run,
    VariancePreserving,
)
from latentry.solvers import InitialNoise
from latentry_bridge_diffusers._grid import Grid
from latentry_bridge_diffusers._noise import Generators, PipelineNoise
from latentry_bridge_diffusers._request import Request
from latentry_bridge_diffusers._training import read_training


class LatentryScheduler(SchedulerMixin, ConfigMixin):  # type: ignore[misc]  # diffusers is not typed
    """Any installed Latentry scheduler with the interface of diffusers' own; made by ``scheduler``.

    Samples are the process's own x = α·x₀ + σ·ε, as with diffusers' DDIM, DPM++ and UniPC; a stock Euler holds x/α. One
    call of ``step`` answers one evaluation of the network, so a scheduler with two evaluations a step has twice as
    many timesteps; ``order`` is how many most of its steps take. State is kept in float32 between the calls, whatever
    the pipeline's dtype.

    Args:
        scheduler: its qualified name.
        scheduler_options: its options.
        sigmas: a sigma schedule; ``stock`` is the replaced scheduler's own grid, None the scheduler's preference.
        sigma_options: of the schedule.
        final: end at σ = 0 (``zero``) or at the least noisy level of training (``table``).
        initial_noise: scale of the initial noise: ``unit`` or ``sigma``.
        seed: seeds the noise where a pipeline passes no generator; None derives it from the first sample.
        process: ``vp``, ``flow`` or ``edm``.
        stock: class name and configuration of the scheduler that was replaced.

    The other arguments are what the replaced scheduler's configuration says about the checkpoint, under diffusers'
    names.
    """

    order = 1

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        scheduler: str = "latentry-ddim:ddim",
        scheduler_options: dict[str, Any] | None = None,
        sigmas: str | None = None,
        sigma_options: dict[str, Any] | None = None,
        final: Final | None = None,
        initial_noise: InitialNoise = "unit",
        seed: int | None = None,
        process: ProcessKind = "vp",
        stock: dict[str, Any] | None = None,
        num_train_timesteps: int = 1000,
        beta_start: float = 0.0001,
        beta_end: float = 0.02,
        beta_schedule: str = "linear",
        trained_betas: Sequence[float] | None = None,
        prediction_type: str = "epsilon",
        rescale_betas_zero_snr: bool = False,
        timestep_spacing: str | None = None,
        steps_offset: int = 1,
        sigma_data: float = 0.5,
        sigma_min: float = 0.002,
        sigma_max: float = 80.0,
        shift: float = 1.0,
        use_flow_sigmas: bool = False,
        use_dynamic_shifting: bool = False,
        time_shift_type: str = "exponential",
        base_shift: float = 0.5,
        max_shift: float = 1.15,
        base_image_seq_len: int = 256,
        max_image_seq_len: int = 4096,
        clip_sample: bool = False,
        skip_prk_steps: bool = True,
    ) -> None:
        self._host = PluginHost()
        self._solver = self._host.schedulers.create(scheduler, **(scheduler_options or {}))
        self._training = read_training(process, self.config)
        self._grid = Grid(sigmas, sigma_options or {}, final, stock or {})
        self._plan: Plan | None = None
        self.timesteps = torch.empty(0)
        self.sigmas = torch.empty(0)
        self.init_noise_sigma = 1.0
        self.num_inference_steps: int | None = None
        self._reset()
        if isinstance(self._training.process, VariancePreserving):
            self.alphas_cumprod = torch.tensor(self._training.process.alphas_cumprod, dtype=torch.float32)

    def _reset(self) -> None:
        self._begin_index: int | None = None
        self._run: Run | None = None
        self._noise: PipelineNoise | None = None
        self._at: int | None = None
        self._skip = 0
        self._sent: Tensor | None = None

    def __len__(self) -> int:
        return int(self.config["num_train_timesteps"])

    def __deepcopy__(self, memo: dict[int, Any]) -> LatentryScheduler:
        """Copies the scheduler, in the middle of a run too; both then continue independently."""
        twin = self.__class__.__new__(self.__class__)
        memo[id(self)] = twin
        shared = {"_host", "_solver", "_training", "_grid", "_plan", "_running", "_run", "_noise", "_sent", "timesteps"}
        for name, value in self.__dict__.items():
            twin.__dict__[name] = value if name in shared else copy.deepcopy(value, memo)
        if self._run is not None and self._noise is not None:
            twin._noise = self._noise.copy()
            twin._run = self._running.resume(self._run.state(), noise=twin._noise)
        return twin

    @property
    def num_train_timesteps(self) -> int:
        """How many timesteps the checkpoint was trained on; sglang reads it."""
        return len(self)

    def set_shift(self, shift: float) -> None:
        """Changes the time shift of a rectified flow, from the next ``set_timesteps`` on."""
        self.register_to_config(shift=shift)

    @property
    def begin_index(self) -> int | None:
        """The entry of ``timesteps`` at which the run begins, where the pipeline has said so."""
        return self._begin_index

    @property
    def step_index(self) -> int | None:
        """The entry of ``timesteps`` that comes next; None before a run begins."""
        return self._at

    def set_begin_index(self, begin_index: int = 0) -> None:
        """Says at which entry of ``timesteps`` the run begins.

        Raises:
            OptionError: ``timesteps`` ends before it.
        """
        if begin_index >= len(self._queries) > 0:
            raise OptionError(
                f"The run is to begin at entry {begin_index} of {len(self._queries)} timesteps.",
                why=f"The scheduler {self.config['scheduler']} takes fewer evaluations in some steps than in others.",
                remedy="Raise the strength or the number of steps, or use a scheduler such as unipc.",
            )
        self._begin_index = begin_index

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: torch.device | str | None = None,
        timesteps: Sequence[float] | None = None,
        sigmas: Sequence[float] | None = None,
        mu: float | None = None,
    ) -> None:
        """Lays the steps out.

        Args:
            num_inference_steps: number of steps.
            device: where ``timesteps`` is put.
            timesteps: the times at which steps start, in place of a number.
            sigmas: the levels at which steps start, before the time shift, in place of a number.
            mu: log of the time shift, from the picture's size.

        Raises:
            OptionError, IncompatibleError: they cannot be laid out like that.
        """
        request = Request(num_inference_steps, timesteps, sigmas, mu)
        self._lay_out(request)
        self._request = request
        queries = self._queries
        times = [query.timestep for query in queries]
        self.timesteps = torch.tensor(times, dtype=torch.float32).to(device or "cpu")
        plan = self._laid_out
        self.sigmas = torch.tensor([*(q.point.s for q in queries), plan.points[-1].s], dtype=torch.float32)
        self.init_noise_sigma = plan.noise_scale(self.config["initial_noise"])
        self.num_inference_steps = len(plan)
        by_step = plan.evaluations_by_step or ()
        # pipelines slice timesteps[start * order:]; those that pass sigmas count entries already
        self.order = 1 if sigmas is not None else _usual(by_step)
        self._reset()

    def _lay_out(self, request: Request) -> None:
        config = self.config
        plan = self._grid.plan(self._solver, config["scheduler"], self._training, request, config, self._host)
        refuse_foreign_control(plan, config["scheduler"])
        self._plan, self._queries = plan, plan.queries or ()

    @property
    def _laid_out(self) -> Plan:
        if self._plan is None:
            raise OptionError("The scheduler has no timesteps yet.", remedy="Call set_timesteps first.")
        return self._plan

    def scale_model_input(self, sample: Tensor, timestep: Tensor | float | None = None) -> Tensor:
        """The sample times the level's input scale, which is 1 except on EDM."""
        if self._training.process.kind != "edm":
            return sample
        query = self._queries[self._at if self._at is not None else self._entry(timestep)]
        return sample * query.point.scale

    def step(
        self,
        model_output: Tensor,
        timestep: Tensor | float,
        sample: Tensor,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[Tensor]:
        """Continues the run with one evaluation of the network.

        Args:
            model_output: the network's guided output, (batch, …).
            timestep: the entry of ``timesteps`` that the network was given.
            sample: what the last call returned, the pipeline's blend of it or, in the first call, the start.
            generator: draws noise; without one it is keyed by the seed.
            return_dict: False for a tuple of one tensor.

        Returns:
            The sample to evaluate next or, at the end, the result; in the dtype of ``sample``.
        """
        following = self._following(model_output, timestep, sample, generator)
        return SchedulerOutput(prev_sample=following) if return_dict else (following,)

    def _following(self, output: Tensor, timestep: Tensor | float, sample: Tensor, generator: Generators) -> Tensor:
        if self._at is None:
            self._begin(timestep, sample)
        assert self._at is not None
        self._at += 1
        if self._skip:
            self._skip -= 1
            return sample
        run = self._run or self._open(sample)
        assert self._noise is not None
        self._noise.generators = generator
        if self._sent is not None and sample is not self._sent:
            self._take_over(run, sample)
        run.query  # noqa: B018 - opens the step, so that its noise comes from this call's generator
        run.advance(output)
        query = run.query
        self._sent = (run.sample if query is None else query.x).to(sample.dtype)
        return self._sent

    def _begin(self, timestep: Tensor | float, sample: Tensor) -> None:
        """Where a run begins; entries before the first step that starts there are passed over."""
        self._at = self._begin_index if self._begin_index is not None else self._entry(timestep)
        first = self._start(self._at)
        self._skip = first - self._at
        self._refuse_after_a_longer_step(first)

    def _refuse_after_a_longer_step(self, first: int) -> None:
        """A pipeline counts ``order`` entries a step, so behind a step with more of them it means another step."""
        if first == len(self._queries) or self._at is None or self._request.sigmas is not None:
            return
        index = self._queries[first].index
        longest = max((self._laid_out.evaluations_by_step or ())[:index], default=0)
        if longest > self.order and index != self._at // self.order:
            raise IncompatibleError(
                f"The scheduler {self.config['scheduler']} cannot begin in the middle, at entry {self._at}.",
                why=f"One of the steps before takes {longest} evaluations, and a pipeline counts {self.order} a step.",
                remedy="Raise the strength, or use another scheduler for image to image, such as unipc.",
            )

    def _start(self, entry: int) -> int:
        """The first entry from ``entry`` on that begins a step."""
        starts = (i for i in range(entry, len(self._queries)) if self._queries[i].stage == 0)
        return next(starts, len(self._queries))

    def _open(self, sample: Tensor) -> Run:
        assert self._at is not None
        self._noise = PipelineNoise(self.config["seed"], sample)
        entry = self._at - 1
        plan = self._laid_out[self._queries[entry].index :]
        if entry and _times(plan.queries or ()) != _times(self._queries[entry:]):
            raise IncompatibleError(
                f"The scheduler {self.config['scheduler']} cannot begin in the middle of its timesteps.",
                why="Its evaluations depend on where the run begins, and the pipeline has cut the list for a full run.",
                remedy="Use another scheduler for image to image, such as unipc.",
            )
        self._running, self._run = plan, plan.start(sample, noise=self._noise)
        return self._run

    @staticmethod
    def _take_over(run: Run, sample: Tensor) -> None:
        """The pipeline changed the sample: a step that has not used it yet begins again with it."""
        query = run.query
        if query is not None and query.stage != 0:
            raise IncompatibleError(
                "The sample was changed between two evaluations of one step.",
                why="The pipeline blends or a callback changes it after every evaluation of the network.",
                remedy="Use a scheduler with one evaluation a step, such as unipc.",
            )
        if query is not None:
            run.reopen(sample)

    def _entry(self, timestep: Tensor | float | None) -> int:
        """The index of a timestep in ``timesteps``; a view of it is recognised without reading its value."""
        if isinstance(timestep, Tensor) and _is_view(timestep, self.timesteps):
            return int(timestep.storage_offset())
        wanted = float(timestep) if timestep is not None else math.nan
        for index, query in enumerate(self._queries):
            if math.isclose(query.timestep, wanted, rel_tol=1e-6, abs_tol=1e-6):
                return index
        raise OptionError(
            f"{wanted:g} is not one of this scheduler's timesteps.",
            remedy="Take them from scheduler.timesteps, after set_timesteps.",
        )

    def add_noise(self, original_samples: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """α·original + σ·noise, (batch, …), at the level of each timestep (one, or one for each row).

        Shapes are broadcast: one picture at several levels, or one level for all.
        """
        points = self._levels(timesteps)
        if len(points) == 1:
            return points[0].mix(original_samples, noise)
        alpha, sigma = _by_row(points, original_samples)
        return (alpha * original_samples + sigma * noise).to(original_samples.dtype)

    def scale_noise(self, sample: Tensor, timestep: Tensor, noise: Tensor) -> Tensor:
        """``add_noise`` under the name, and in the order of arguments, that flow pipelines use."""
        return self.add_noise(sample, noise, timestep)

    def get_velocity(self, sample: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """α·noise − σ·sample: what a v-prediction network is trained on. Shapes as in ``add_noise``."""
        points = self._levels(timesteps)
        if len(points) == 1:
            return points[0].alpha * noise - points[0].sigma * sample
        alpha, sigma = _by_row(points, sample)
        return (alpha * noise - sigma * sample).to(sample.dtype)

    def _levels(self, timesteps: Tensor) -> list[Point]:
        """The noise levels of timesteps; a run on a device uses its own, so that no value is read there."""
        if timesteps.device.type != "cpu" and self._begin_index is not None:
            return [self._queries[self._start(self._begin_index if self._at is None else self._at)].point]
        every = timesteps.flatten().tolist()
        levels = {value: self._level(value) for value in set(every)}
        return [levels[every[0]]] if len(levels) == 1 else [levels[value] for value in every]

    def _level(self, timestep: float) -> Point:
        """The level of a timestep; if the run begins there, the level of the run's first step."""
        for index, query in enumerate(self._queries if self._begin_index is not None else ()):
            if math.isclose(query.timestep, timestep, rel_tol=1e-6, abs_tol=1e-6):
                start = self._start(index)
                return self._queries[start].point if start < len(self._queries) else self._laid_out.points[-1]
        return self._training.process.at(timestep=timestep)


class LatentryEtaScheduler(LatentryScheduler):
    """For schedulers with an option ``eta``: pipelines look for the name in ``step`` and pass theirs, 0 by default.

    A pipeline's 0 leaves the scheduler's own option as it is.
    """

    def step(  # type: ignore[override]
        self,
        model_output: Tensor,
        timestep: Tensor | float,
        sample: Tensor,
        eta: float = 0.0,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[Tensor]:
        """Like ``LatentryScheduler.step``; ``eta`` says how much of each step is noise."""
        if self._at is None and eta and eta != getattr(self._solver, "eta", None):
            options = dict(self.config["scheduler_options"] or {}) | {"eta": eta}
            self._solver = self._host.schedulers.create(self.config["scheduler"], **options)
            self._lay_out(self._request)
        return super().step(model_output, timestep, sample, generator, return_dict)


class LatentryFlowScheduler(LatentryScheduler):
    """For rectified flows, made from a checkpoint's own configuration, as serving engines do it:
    ``LatentryFlowScheduler.from_config(stock.config, scheduler="unipc")``. Arguments as for ``LatentryScheduler``.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"process": "flow", **settings})

    __init__.__signature__ = inspect.signature(LatentryScheduler.__init__)  # type: ignore[attr-defined]  # diffusers reads it


def _by_row(points: Sequence[Point], like: Tensor) -> tuple[Tensor, Tensor]:
    """α and σ of each row, shaped (rows, 1, …) to multiply tensors such as ``like``; in float32 or wider."""
    dtype, shape = torch.promote_types(like.dtype, torch.float32), (len(points), *(1 for _ in like.shape[1:]))
    scales = ([point.alpha for point in points], [point.sigma for point in points])
    alpha, sigma = (torch.tensor(each, dtype=dtype).to(like.device).reshape(shape) for each in scales)
    return alpha, sigma


def _usual(by_step: Sequence[int]) -> int:
    """The number of evaluations that most steps take; of two as frequent the larger."""
    return max(set(by_step), key=lambda count: (by_step.count(count), count))


def _times(queries: Sequence[Query]) -> list[float]:
    return [query.timestep for query in queries]


def _is_view(timestep: Tensor, timesteps: Tensor) -> bool:
    return timestep.numel() == 1 and timestep.untyped_storage().data_ptr() == timesteps.untyped_storage().data_ptr()


def refuse_foreign_control(plan: Plan, name: str) -> None:
    """Refuses schedulers that cannot work from a fixed list of timesteps with one evaluation each.

    Raises:
        IncompatibleError: the scheduler chooses its own steps, needs more than one output, or changes the sample before
            it asks the network.
    """
    reason = ""
    if plan.queries is None:
        reason = "It chooses its own steps, and a pipeline fixes the list of timesteps before its loop."
    elif needs := plan.scheduler.needs:
        reason = f"It needs the {', '.join(sorted(needs))} output too, and a pipeline passes the guided one alone."
    elif any(query.stage == 0 and query.point.lam != plan.points[query.index].lam for query in plan.queries):
        reason = "It adds noise before it asks the network, and a pipeline evaluates the network first (churn)."
    if reason:
        raise IncompatibleError(
            f"The scheduler {name} cannot be used in a diffusers pipeline with these options.",
            why=reason,
            remedy="Use another scheduler, other options, or Latentry's own engine.",
        )


for _class in (LatentryScheduler, LatentryEtaScheduler, LatentryFlowScheduler):
    # what model_index.json names: the module that also has SchedulerMixin
    _class.__module__ = "latentry_bridge_diffusers"
