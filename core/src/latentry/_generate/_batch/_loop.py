"""The loop: one batch of pictures, from its prompts to its latents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor

from latentry._conditioning._controls import NO_CONTROLS, Controls
from latentry._conditioning._prompt_schedule import schedule_of
from latentry._contract._conditioning import Conditioning
from latentry._contract._curve import Curve
from latentry._contract._progress import BatchProgress
from latentry._discovery import Leaving, plugin_call
from latentry._errors import PluginError
from latentry._generate._batch._finite import CheckedEvaluate, FiniteCheck, Source, denoiser_of
from latentry._generate._batch._glimpse import BatchGlimpse
from latentry._generate._batch._start import Start
from latentry._generate._kept._loaded_model import LoadedModel
from latentry._guidance._changing import Changing
from latentry._guidance._encoded_prompt import EncodedPrompt
from latentry._guidance._evaluate import BatchEvaluate, Evaluate
from latentry._guidance._run_caches import RunCaches
from latentry._guidance._second_models._refiner import SwitchToRefiner
from latentry._guidance._second_models._weak_model import WithWeakModel
from latentry._jobs._company import Alone, Company
from latentry._jobs._course import Interrupted
from latentry._numerics._running._noise import KeyedNoise, NoiseSource
from latentry._numerics._running._run import Run
from latentry._numerics._running._state import RunState
from latentry._request._given_noise import GivenNoise

if TYPE_CHECKING:
    from latentry._resolve._setup import Setup


class Sampled(NamedTuple):
    """One batch: latents (batch, channels, height, width), how many evaluations its run took, and how many of them a
    step cache made up.
    """

    latents: Tensor
    evaluations: int
    made_up: int = 0

    def to(self, device: torch.device) -> Sampled:
        """With the latents on a device."""
        return self._replace(latents=self.latents.to(device))


class Begun(NamedTuple):
    """A batch in the middle, as data.

    Attributes:
        run: where its run is.
        guidance: the guidance's memory.
        evaluations: how many it took.
        larger: it is in its second, larger pass.
        made_up: how many of the evaluations a step cache made up.
        caches: what the step cache keeps, where there is one.
    """

    run: RunState
    guidance: RunState
    evaluations: int
    larger: bool = False
    made_up: int = 0
    caches: RunState | None = None

    def to(self, device: torch.device) -> Begun:
        """With all tensors on a device."""
        caches = None if self.caches is None else _moved(self.caches, device)
        return self._replace(run=_moved(self.run, device), guidance=_moved(self.guidance, device), caches=caches)


def _moved(state: RunState, device: torch.device) -> RunState:
    return replace(state, tensors={name: tensor.to(device) for name, tensor in state.tensors.items()})


class Halted(Leaving):
    """A batch was left to be continued elsewhere.

    Args:
        begun: where it was left.
    """

    def __init__(self, begun: Begun) -> None:
        super().__init__()
        self.begun = begun


class _Batch(NamedTuple):
    """What belongs to one batch while it is sampled."""

    run: Run
    evaluate: Evaluate
    initial: Tensor
    check: FiniteCheck
    progress: BatchProgress
    glimpse: BatchGlimpse
    caches: RunCaches | None


@dataclass(frozen=True)
class Sampling:
    """What all batches of a request have in common.

    Attributes:
        setup: everything that was decided.
        loaded: the model, and after it its refiner and its guidance's, where there are any.
        start: where runs start.
        given: noise of the caller.
        company: with whom the networks are shared.
    """

    setup: Setup
    loaded: Sequence[LoadedModel]
    start: Start
    given: GivenNoise
    company: Company = field(default_factory=Alone)

    def __call__(self, pictures: Sequence[int], progress: BatchProgress, begun: Begun | None = None) -> Sampled:
        """Samples one batch.

        Args:
            pictures: indices of pictures of the request.
            progress: called at every step.
            begun: where the batch was left, if it was.

        Raises:
            Halted: it is to be continued elsewhere.
            NonFiniteError: values that are not finite arose on the way.
            PluginError: the scheduler or the model failed.
        """
        progress("encode", 0, "Encoding the prompt")
        assert self.setup.request.seed is not None
        begun = begun and begun.to(self.setup.device)
        check = FiniteCheck()
        caches = self._caches(begun)
        evaluate, keyed = self.evaluate(pictures, check, caches), KeyedNoise(self.setup.request.seed, pictures)
        initial = self.initial_noise(pictures)
        run = self._run(initial, self.given.draws or keyed, begun)
        glimpse = BatchGlimpse(self.loaded[0].model, tuple(pictures), self.setup.size, self.company)
        batch = _Batch(run, evaluate, initial, check, progress, glimpse, caches)
        progress("sample", run.index, "Sampling", run)
        steps = len(self.setup.plan)
        try:
            evaluations, made_up = self._solve(batch, begun)
        except PluginError:
            check.raise_first(steps)  # where values are not finite, that explains the failure
            raise
        finally:
            run.close()
        check.raise_first(steps)
        return Sampled(run.sample, evaluations, made_up)

    def _caches(self, begun: Begun | None) -> RunCaches | None:
        """The step cache at its start, or where it was left."""
        if self.setup.step_cache is None:
            return None
        caches = RunCaches(self.setup.step_cache)
        if begun is not None and begun.caches is not None:
            caches.resume(begun.caches)
        return caches

    def _run(self, initial: Tensor, noise: NoiseSource, begun: Begun | None) -> Run:
        """The run from its start, or from where it was left."""
        table: bool | Literal["fused"] = "fused" if self.setup.request.fast else True
        if begun is None:
            return self.start.plan.start(self.start.sample(initial), noise=noise, table=table)
        return self.start.plan.resume(begun.run, noise=noise, table=table)

    def _solve(self, batch: _Batch, begun: Begun | None) -> tuple[int, int]:
        """Takes a run to its end and returns the number of its evaluations, and of those that were made up."""
        run, check, guidance = batch.run, batch.check, self.setup.guidance
        memory = guidance.empty if begun is None else guidance.memory(begun.guidance)
        evaluations, made_up = (0, 0) if begun is None else (begun.evaluations, begun.made_up)
        while (query := run.query) is not None:
            level = run.point
            try:
                with self.guiding:
                    guided = guidance(batch.evaluate, query, memory)
            except Interrupted as interrupted:
                if interrupted.wish != "pause":
                    raise
                check.raise_first(len(self.setup.plan))
                kept = None if batch.caches is None else batch.caches.state(self.setup.plan, query.index)
                states = run.state(), guidance.state(memory, query.index)
                raise Halted(Begun(*states, evaluations, made_up=made_up, caches=kept)) from None
            real = batch.caches is None or batch.caches.take_real()
            memory, evaluations, made_up = guided.memory, evaluations + 1, made_up + (not real)
            check.add(Source("guidance", query.index), guided.output)
            batch.glimpse.take(self.setup.plan, query, guided.output)
            run.advance(guided.output, uncond=guided.uncond, real=real)
            if run.point != level:
                check.add(Source("the scheduler", query.index), run.sample)
                # a step of several evaluations is blended once, when it has reached its end
                if self.start.blend is not None:
                    self.start.blend(run, batch.initial)
            if self.setup.plan.scheduler.adaptive:
                # it reads its error on the host anyway, and with values that are not finite it may never end
                check.raise_first(len(self.setup.plan))
            if run.index > query.index:
                batch.progress("sample", run.index, "Sampling", run, batch.glimpse)
        return evaluations, made_up

    def initial_noise(self, pictures: Sequence[int]) -> Tensor:
        """The noise that pictures begin with: the caller's, or that of the seed."""
        device = self.setup.device
        if self.given.latents is not None:
            latents = self.given.latents[list(pictures)]
            # Apple's GPUs, for one, have no float64
            return latents.to(device) if device.type in ("cpu", "cuda") else latents.float().to(device)
        assert self.setup.request.seed is not None
        keyed = KeyedNoise(self.setup.request.seed, pictures)
        return keyed.initial(torch.empty((len(pictures), *self.setup.latent_shape), device=device))

    @cached_property
    def guiding(self) -> plugin_call:
        """Around calls of the guidance."""
        return plugin_call(self.setup.guidance)

    def evaluate(self, pictures: Sequence[int], check: FiniteCheck, caches: RunCaches | None = None) -> Evaluate:
        """What evaluates the networks for some pictures; outputs are noted in the check. Caches are the model's own."""
        models = [loaded.model for loaded in self.loaded]
        own = self._batch(self.loaded[0], pictures, self.start.controls, caches)
        first = CheckedEvaluate(own, check, denoiser_of(models[0]))
        evaluate: Evaluate = first
        if self.setup.refiner is not None:
            second = denoiser_of(models[1], "the refiner's denoiser")
            refiner = CheckedEvaluate(self._batch(self.loaded[1], pictures), check, second)
            evaluate = SwitchToRefiner(evaluate, refiner, self.setup.refiner.timestep)
        if self.setup.weak is not None:
            source = denoiser_of(models[-1], "the weak model's denoiser")
            evaluate = WithWeakModel(evaluate, CheckedEvaluate(self._batch(self.loaded[-1], pictures), check, source))
        return evaluate

    def _batch(
        self,
        loaded: LoadedModel,
        pictures: Sequence[int],
        controls: Controls = NO_CONTROLS,
        caches: RunCaches | None = None,
    ) -> BatchEvaluate:
        request = self.setup.request
        cond = [self._over_run(loaded, request.prompts[index], negative=False) for index in pictures]
        once = [self._over_run(loaded, request.negative, negative=True)] if self.setup.guidance.unconditional else []
        uncond = once * len(pictures)
        told = (controls, self._changing(loaded), self.setup.tiles, caches)
        return BatchEvaluate(loaded.model, cond, uncond, self.company.predict, *told)

    def _changing(self, loaded: LoadedModel) -> Changing:
        setup = self.setup
        flow = setup.checkpoint.noise.process.kind == "flow"
        scale = setup.request.guidance if setup.located.variant.guidance_kind == "distilled" else None
        return Changing(
            len(setup.plan),
            flow,
            setup.loras.curves_of(setup.worn(shared=self.company.shared)) if loaded is self.loaded[0] else (),
            scale if isinstance(scale, Curve) else None,
        )

    def _over_run(self, loaded: LoadedModel, prompt: str, *, negative: bool) -> EncodedPrompt:
        schedule = schedule_of(prompt, self.setup.request.prompt_syntax, len(self.setup.plan))
        texts = tuple(self._encoded(loaded, text, negative=negative) for text in schedule.texts)
        return EncodedPrompt(texts, schedule.steps)

    def _encoded(self, loaded: LoadedModel, prompt: str, *, negative: bool) -> Conditioning:
        loras = self.setup.loras.text_key if loaded is self.loaded[0] else ()
        serving = (self.setup.attention, loras)
        settings = self.setup.prompt_settings(negative=negative)
        encoded = self.company.run(lambda: loaded.prompts(prompt, settings, serving))
        return Conditioning({**encoded.tensors, **self.start.conditioning})
