"""The loop: one batch of pictures, from its prompts to its latents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from latentry._contract._conditioning import Conditioning
from latentry._contract._progress import BatchProgress
from latentry._discovery import plugin_call
from latentry._errors import PluginError
from latentry._generate._finite import CheckedEvaluate, FiniteCheck, Source, denoiser_of
from latentry._generate._loaded_model import LoadedModel
from latentry._generate._start import Start
from latentry._guidance._evaluate import BatchEvaluate, Evaluate
from latentry._guidance._refiner import SwitchToRefiner
from latentry._guidance._weak_model import WithWeakModel
from latentry._numerics._noise import KeyedNoise
from latentry._numerics._run import Run
from latentry._request._given_noise import GivenNoise

if TYPE_CHECKING:
    from latentry._resolve._setup import Setup


class Sampled(NamedTuple):
    """One batch: latents (batch, channels, height, width), and how many evaluations its run took."""

    latents: Tensor
    evaluations: int

    def to(self, device: torch.device) -> Sampled:
        """With the latents on a device."""
        return self._replace(latents=self.latents.to(device))


@dataclass(frozen=True)
class Sampling:
    """What all batches of a request have in common.

    Attributes:
        setup: everything that was decided.
        loaded: the model, and after it its refiner and its guidance's, where there are any.
        start: where runs start.
        given: noise of the caller.
    """

    setup: Setup
    loaded: Sequence[LoadedModel]
    start: Start
    given: GivenNoise

    def __call__(self, pictures: Sequence[int], progress: BatchProgress) -> Sampled:
        """Samples one batch.

        Args:
            pictures: indices of pictures of the request.
            progress: called at every step.

        Raises:
            NonFiniteError: values that are not finite arose on the way.
            PluginError: the scheduler or the model failed.
        """
        progress("encode", 0, "Encoding the prompt")
        assert self.setup.request.seed is not None
        check = FiniteCheck()
        evaluate, keyed = self.evaluate(pictures, check), KeyedNoise(self.setup.request.seed, pictures)
        initial = self.initial_noise(pictures)
        run = self.start.plan.start(self.start.sample(initial), noise=self.given.draws or keyed)
        progress("sample", 0, "Sampling", run)
        steps = len(self.setup.plan)
        try:
            evaluations = self._solve(run, evaluate, initial, check, progress)
        except PluginError:
            check.raise_first(steps)  # where values are not finite, that explains the failure
            raise
        finally:
            run.close()
        check.raise_first(steps)
        return Sampled(run.sample, evaluations)

    def _solve(self, run: Run, evaluate: Evaluate, initial: Tensor, check: FiniteCheck, progress: BatchProgress) -> int:
        """Takes a run to its end and returns the number of its evaluations."""
        evaluations, memory = 0, self.setup.guidance.empty
        while (query := run.query) is not None:
            level, evaluations = run.point, evaluations + 1
            with self.guiding:
                guided = self.setup.guidance(evaluate, query, memory)
            memory = guided.memory
            check.add(Source("guidance", query.index), guided.output)
            run.advance(guided.output, uncond=guided.uncond)
            if run.point != level:
                check.add(Source("the scheduler", query.index), run.sample)
                # a step of several evaluations is blended once, when it has reached its end
                if self.start.blend is not None:
                    self.start.blend(run, initial)
            if self.setup.plan.scheduler.adaptive:
                # it reads its error on the host anyway, and with values that are not finite it may never end
                check.raise_first(len(self.setup.plan))
            if run.index > query.index:
                progress("sample", run.index, "Sampling", run)
        return evaluations

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

    def evaluate(self, pictures: Sequence[int], check: FiniteCheck) -> Evaluate:
        """What evaluates the networks for some pictures; outputs are noted in the check."""
        models = [loaded.model for loaded in self.loaded]
        first = CheckedEvaluate(self._batch(self.loaded[0], pictures), check, denoiser_of(models[0]))
        evaluate: Evaluate = first
        if self.setup.refiner is not None:
            second = denoiser_of(models[1], "the refiner's denoiser")
            refiner = CheckedEvaluate(self._batch(self.loaded[1], pictures), check, second)
            evaluate = SwitchToRefiner(evaluate, refiner, self.setup.refiner.timestep)
        if self.setup.weak is not None:
            source = denoiser_of(models[-1], "the weak model's denoiser")
            evaluate = WithWeakModel(evaluate, CheckedEvaluate(self._batch(self.loaded[-1], pictures), check, source))
        return evaluate

    def _batch(self, loaded: LoadedModel, pictures: Sequence[int]) -> BatchEvaluate:
        request = self.setup.request
        cond = [self._encoded(loaded, request.prompts[index], negative=False) for index in pictures]
        once = [self._encoded(loaded, request.negative, negative=True)] if self.setup.guidance.unconditional else []
        return BatchEvaluate(loaded.model, cond, once * len(pictures))

    def _encoded(self, loaded: LoadedModel, prompt: str, *, negative: bool) -> Conditioning:
        loras = self.setup.loras.text_key if loaded is self.loaded[0] else ()
        serving = (self.setup.attention, loras)
        encoded = loaded.prompts(prompt, self.setup.prompt_settings(negative=negative), serving)
        return Conditioning({**encoded.tensors, **self.start.conditioning})
