"""The loop: one batch of pictures from its prompts to its latents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from latentry._contract._conditioning import Conditioning
from latentry._contract._progress import Told
from latentry._generate._loaded_model import Loaded
from latentry._generate._start import Beginning
from latentry._guidance._evaluate import Batch, Evaluate
from latentry._guidance._refiner import Relay
from latentry._numerics._noise import KeyedNoise
from latentry._request._given_noise import OwnNoise

if TYPE_CHECKING:
    from latentry._resolve._setup import Setup


class Sampled(NamedTuple):
    """What one batch came to: latents (batch, channels, height, width), and how many evaluations its run took."""

    latents: Tensor
    evaluations: int


@dataclass(frozen=True)
class Sampling:
    """What all batches of a request have in common.

    Attributes:
        setup: everything that was decided.
        loaded: the model, and after it its refiner where there is one.
        beginning: where runs begin.
        own: noise of the caller's own.
    """

    setup: Setup
    loaded: Sequence[Loaded]
    beginning: Beginning
    own: OwnNoise

    def __call__(self, pictures: Sequence[int], told: Told) -> Sampled:
        """Some pictures of the request.

        Args:
            pictures: their indices.
            told: progress.
        """
        told("encode", 0, "Encoding the prompt")
        setup, device = self.setup, self.setup.device
        assert setup.request.seed is not None
        evaluate, keyed = self._evaluate(pictures), KeyedNoise(setup.request.seed, pictures)
        if self.own.latents is None:
            initial = keyed.initial(torch.empty((len(pictures), *setup.latent_shape), device=device))
        else:
            initial = self.own.latents[list(pictures)].to(device)
        run = setup.plan.start(self.beginning.sample(initial), noise=self.own.draws or keyed)
        told("sample", 0, "Sampling", run)
        evaluations = 0
        while (query := run.query) is not None:
            level, evaluations = run.point, evaluations + 1
            guided = setup.guidance(evaluate, query)
            run.advance(guided.output, uncond=guided.uncond)
            if self.beginning.blend is not None and run.point != level:
                self.beginning.blend(run, initial)
            if run.index > query.index:
                told("sample", run.index, "Sampling", run)
        return Sampled(run.sample, evaluations)

    def _evaluate(self, pictures: Sequence[int]) -> Evaluate:
        first = self._batch(self.loaded[0], pictures)
        if self.setup.refiner is None:
            return first
        return Relay(first, self._batch(self.loaded[-1], pictures), self.setup.refiner.timestep)

    def _batch(self, loaded: Loaded, pictures: Sequence[int]) -> Batch:
        request = self.setup.request
        cond = [self._told(loaded, request.prompts[index], negative=False) for index in pictures]
        once = [self._told(loaded, request.negative, negative=True)] if self.setup.guidance.unconditional else []
        return Batch(loaded.model, cond, once * len(pictures))

    def _told(self, loaded: Loaded, prompt: str, *, negative: bool) -> Conditioning:
        loras = self.setup.loras.text_key if loaded is self.loaded[0] else ()
        serving = (self.setup.attention, loras)
        told = loaded.prompts(prompt, self.setup.prompt_settings(negative=negative), serving)
        return Conditioning({**told.tensors, **self.beginning.told})
