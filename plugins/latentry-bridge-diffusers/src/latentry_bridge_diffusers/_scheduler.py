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
from latentry_bridge_diffusers._entries import Entries
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
        begins_late: the pipeline cuts the list of timesteps, as image to image does. Where steps take different numbers
            of evaluations, a few entries to spare then follow, so that the rest fits wherever it is cut.

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
        begins_late: bool = False,
    ) -> None:
        self._host = PluginHost()
        self._solver = self._host.schedulers.create(scheduler, **(scheduler_options or {}))
        self._training = read_training(process, self.config)
        self._grid = Grid(sigmas, sigma_options or {}, final, stock or {})
        self._laid_out: Entries | None = None
        self._queries: tuple[Query, ...] = ()
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
        self._mixed = False
        self._sent: Tensor | None = None

    def __len__(self) -> int:
        return int(self.config["num_train_timesteps"])

    def __deepcopy__(self, memo: dict[int, Any]) -> LatentryScheduler:
        """Copies the scheduler, in the middle of a run too; both then continue independently."""
        twin = self.__class__.__new__(self.__class__)
        memo[id(self)] = twin
        shared = {
            "_host",
            "_solver",
            "_training",
            "_grid",
            "_laid_out",
            "_running",
            "_run",
            "_noise",
            "_sent",
            "timesteps",
        }
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

        The entries from there on become those of the rest of the run, in the tensor that the pipeline has sliced, and
        what is left over repeats the last.

        Raises:
            OptionError: ``timesteps`` ends before it.
        """
        self._running = self._entries.rest(begin_index)
        before, self._queries = self._queries, self._entries.from_plan(self._running, begin_index)
        if not _same(self._queries, before):
            self.timesteps.copy_(_times(self._queries))
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
        plan, self._request = self._running, request
        self.timesteps = _times(self._queries).to(device or "cpu")
        self.sigmas = torch.tensor([*(q.point.s for q in self._queries), plan.points[-1].s], dtype=torch.float32)
        self.init_noise_sigma = plan.noise_scale(self.config["initial_noise"])
        self.num_inference_steps = len(plan)
        self.order = self._entries.order or 1
        self._reset()

    def _lay_out(self, request: Request) -> None:
        config = self.config
        plan = self._grid.plan(self._solver, config["scheduler"], self._training, request, config, self._host)
        refuse_foreign_control(plan, config["scheduler"])
        # pipelines slice timesteps[start * order:]; those that pass sigmas count entries already
        by_entries, late = request.sigmas is not None, bool(config["begins_late"])
        entries = Entries.of(plan, counts_entries=by_entries, begins_late=late)
        self._laid_out, self._running, self._queries = entries, plan, entries.from_plan(plan)

    @property
    def _entries(self) -> Entries:
        if self._laid_out is None:
            raise OptionError("The scheduler has no timesteps yet.", remedy="Call set_timesteps first.")
        return self._laid_out

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
            self._at = self._begin(timestep)
        self._at += 1
        run = self._run or self._open(sample)
        if run.done:  # the list was cut for a longer rest
            return sample
        assert self._noise is not None
        self._noise.generators = generator
        if self._sent is not None and sample is not self._sent:
            self._take_over(run, sample)
        run.query  # noqa: B018 - opens the step, so that its noise comes from this call's generator
        run.advance(output)
        query = run.query
        self._sent = (run.sample if query is None else query.x).to(sample.dtype)
        return self._sent

    def _begin(self, timestep: Tensor | float) -> int:
        """The entry at which a run begins."""
        entry, whole = self._begin_index, self._entries.from_plan(self._entries.plan)
        reason = ""
        if entry is None:
            entry = self._entry(timestep)
            self._running = self._entries.rest(entry)
            self._queries = self._entries.from_plan(self._running, entry)
            if not _same(self._queries, whole):
                reason = "Its evaluations depend on where the run begins, and set_begin_index was not called."
        elif not _same(self._queries, whole):
            if not self._mixed and self._entries.meant(entry) != self._entries.listed(entry):
                reason = "Its steps take different numbers of evaluations, and the samples were handed over in a run."
            elif not self._is_entry(timestep, entry):
                reason = "Its evaluations depend on where the run begins, and the list was copied before it was known."
        if reason:
            raise IncompatibleError(
                f"The scheduler {self.config['scheduler']} cannot begin at entry {entry} of its timesteps.",
                why=reason,
                remedy="Use another scheduler, such as unipc, or call set_begin_index before the loop.",
            )
        return entry

    def _open(self, sample: Tensor) -> Run:
        self._noise = PipelineNoise(self.config["seed"], sample)
        self._run = self._running.start(sample, noise=self._noise)
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
        """The index of a timestep in ``timesteps``."""
        for entry in range(len(self._queries)):
            if timestep is not None and self._is_entry(timestep, entry):
                return entry
        raise OptionError(
            f"{math.nan if timestep is None else float(timestep):g} is not one of this scheduler's timesteps.",
            remedy="Take them from scheduler.timesteps, after set_timesteps.",
        )

    def _is_entry(self, timestep: Tensor | float, entry: int) -> bool:
        """Whether a timestep is that of an entry; a view of ``timesteps`` is recognised without reading its value."""
        if isinstance(timestep, Tensor) and _is_view(timestep, self.timesteps):
            return int(timestep.storage_offset()) == entry
        return math.isclose(self._queries[entry].timestep, float(timestep), rel_tol=1e-6, abs_tol=1e-6)

    def add_noise(self, original_samples: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        """α·original + σ·noise, (batch, …), at the level of each timestep (one, or one for each row).

        Shapes are broadcast: one picture at several levels, or one level for all.
        """
        self._mixed = True
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
        entry = self._begin_index if self._at is None else self._at
        if timesteps.device.type != "cpu" and entry is not None:
            return [self._queries[min(entry, len(self._queries) - 1)].point]
        every = timesteps.flatten().tolist()
        levels = {value: self._level(value) for value in set(every)}
        return [levels[every[0]]] if len(levels) == 1 else [levels[value] for value in every]

    def _level(self, timestep: float) -> Point:
        """The level of a timestep: the run's own where it is one of its, else the process's."""
        own = self._queries[self._begin_index or 0 :]
        found = (query.point for query in own if math.isclose(query.timestep, timestep, rel_tol=1e-6, abs_tol=1e-6))
        return next(found, None) or self._training.process.at(timestep=timestep)


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
            if self._begin_index is not None:
                self.set_begin_index(self._begin_index)
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


def _times(queries: Sequence[Query]) -> Tensor:
    return torch.tensor([query.timestep for query in queries], dtype=torch.float32)


def _same(queries: Sequence[Query], others: Sequence[Query]) -> bool:
    """Whether both ask the network at the same times."""
    return [query.timestep for query in queries] == [query.timestep for query in others]


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
