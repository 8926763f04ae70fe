"""The loop: one batch of pictures, from its prompts to its latents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from latentry._contract._conditioning import Conditioning
from latentry._contract._progress import BatchProgress
from latentry._generate._loaded_model import LoadedModel
from latentry._generate._start import Start
from latentry._guidance._evaluate import BatchEvaluate, Evaluate
from latentry._guidance._refiner import SwitchToRefiner
from latentry._numerics._noise import KeyedNoise
from latentry._request._given_noise import GivenNoise

if TYPE_CHECKING:
    from latentry._resolve._setup import Setup


class Sampled(NamedTuple):
    """One batch: latents (batch, channels, height, width), and how many evaluations its run took."""

    latents: Tensor
    evaluations: int


@dataclass(frozen=True)
class Sampling:
    """What all batches of a request have in common.

    Attributes:
        setup: everything that was decided.
        loaded: the model, and after it its refiner where there is one.
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
        """
        progress("encode", 0, "Encoding the prompt")
        assert self.setup.request.seed is not None
        evaluate, keyed = self._evaluate(pictures), KeyedNoise(self.setup.request.seed, pictures)
        initial = self._initial_noise(pictures, keyed)
        run = self.setup.plan.start(self.start.sample(initial), noise=self.given.draws or keyed)
        progress("sample", 0, "Sampling", run)
        evaluations = 0
        while (query := run.query) is not None:
            level, evaluations = run.point, evaluations + 1
            guided = self.setup.guidance(evaluate, query)
            run.advance(guided.output, uncond=guided.uncond)
            # a step of several evaluations is blended once, when it has reached its end
            if self.start.blend is not None and run.point != level:
                self.start.blend(run, initial)
            if run.index > query.index:
                progress("sample", run.index, "Sampling", run)
        return Sampled(run.sample, evaluations)

    def _initial_noise(self, pictures: Sequence[int], keyed: KeyedNoise) -> Tensor:
        device = self.setup.device
        if self.given.latents is not None:
            return self.given.latents[list(pictures)].to(device)
        return keyed.initial(torch.empty((len(pictures), *self.setup.latent_shape), device=device))

    def _evaluate(self, pictures: Sequence[int]) -> Evaluate:
        first = self._batch(self.loaded[0], pictures)
        if self.setup.refiner is None:
            return first
        return SwitchToRefiner(first, self._batch(self.loaded[-1], pictures), self.setup.refiner.timestep)

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
