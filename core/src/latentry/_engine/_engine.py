"""From a request to pictures."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from PIL.Image import Image
from torch import Tensor

from latentry._discovery import PluginHost
from latentry._engine._device import out_of_memory_told
from latentry._engine._guidance import ClassifierFree
from latentry._engine._locate import fingerprint
from latentry._engine._model import AttentionBackend, Model
from latentry._engine._pictures import to_pictures
from latentry._engine._progress import Progress, ProgressEvent, Stage
from latentry._engine._recipe import Recipe
from latentry._engine._request import GenerationRequest
from latentry._engine._result import GenerationResult
from latentry._engine._setup import Setup, prepare
from latentry._errors import OptionError, RecipeError
from latentry._numerics._noise import KeyedNoise, NoiseSource
from latentry._numerics._run import Run

log = logging.getLogger("latentry")


class Engine:
    """Makes pictures with the plugins of a host. Keeps the model of the last request in memory.

    Args:
        host: where schedulers, sigma schedules, families and checkpoints come from.
    """

    def __init__(self, host: PluginHost) -> None:
        self.host = host
        self._kept: tuple[tuple[object, ...], Model] | None = None

    def prepare(self, request: GenerationRequest) -> Setup:
        """Decides everything a request leaves open, without loading a weight.

        Raises:
            LatentryError: something is unknown, does not fit or cannot be had here.
        """
        return prepare(self.host, request)

    def load(self, setup: Setup) -> Model:
        """The model of a setup, loaded unless it is the one of the last request."""
        key = (setup.located.path, setup.located.variant.name, setup.device, setup.dtype)
        if self._kept is None or self._kept[0] != key:
            self._kept = None  # the old model's memory is needed for the new one
            with out_of_memory_told("loading the model"):
                self._kept = (key, setup.checkpoint.load(setup.device, setup.dtype))
        return self._kept[1]

    def generate(
        self,
        request: GenerationRequest,
        *,
        latents: Tensor | None = None,
        noise: NoiseSource | None = None,
        progress: Progress | None = None,
    ) -> GenerationResult:
        """The pictures of a request.

        Args:
            request: what is wanted.
            latents: standard normal start noise of the caller's own, (pictures, channels, height, width); it is scaled
                as the engine's own would be.
            noise: draws of the caller's own for stochastic schedulers; by default keyed by seed and picture.
            progress: called at every moment; raising in it cancels.

        Raises:
            LatentryError: see ``prepare``; also a damaged checkpoint and exhausted memory.
        """
        setup = self.prepare(request)
        return self._run(setup, range(len(request.prompts)), latents, noise, progress or _silent)

    def reproduce(self, recipe: Recipe, *, anyway: bool = False, progress: Progress | None = None) -> GenerationResult:
        """The one picture of a recipe, in the same batch as then, on which its last bit depends.

        Args:
            recipe: of the picture.
            anyway: go on though versions or the checkpoint differ, so that the pixels may.
            progress: as in ``generate``.

        Raises:
            RecipeError: a plugin is missing, newer or older, or the checkpoint is another one.
        """
        obstacles = recipe.obstacles(self.host)
        if obstacles and not anyway:
            raise RecipeError(
                "The picture cannot be made again with what is installed.",
                why="\n".join(obstacles),
                remedy="Or go on with --anyway; then the pixels may differ.",
            )
        setup = self.prepare(recipe.request)
        if (found := fingerprint(setup.located.path)) != recipe.model and not anyway:
            raise RecipeError(
                f"The checkpoint at {setup.located.path} is not the one the picture was made with.",
                why=f"Its fingerprint is {found}, the picture's {recipe.model}.",
                remedy="Put the old checkpoint back, or go on with --anyway; then the picture will differ.",
            )
        begin = recipe.index // recipe.request.batch * recipe.request.batch
        end = min(begin + recipe.request.batch, len(recipe.request.prompts))
        result = self._run(setup, range(begin, end), None, None, progress or _silent)
        at = recipe.index - begin
        return GenerationResult(
            result.images[at : at + 1], result.latents[at : at + 1], result.recipes[at : at + 1], result.evaluations
        )

    @torch.no_grad()
    def _run(
        self,
        setup: Setup,
        indices: Sequence[int],
        latents: Tensor | None,
        noise: NoiseSource | None,
        progress: Progress,
    ) -> GenerationResult:
        if latents is not None and tuple(latents.shape) != (len(indices), *setup.latent_shape):
            raise OptionError(
                f"The initial latents have shape {tuple(latents.shape)}.",
                why=f"This request needs {(len(indices), *setup.latent_shape)}.",
                remedy="Give one standard normal latent for each picture.",
            )
        progress(ProgressEvent("load", 0, 0, f"Loading {setup.located.name}"))
        model = self.load(setup)
        size = setup.request.batch
        batches = [indices[i : i + size] for i in range(0, len(indices), size)]
        images: list[Image] = []
        samples: list[Tensor] = []
        with model.set_attention(self._attention(setup)), out_of_memory_told("sampling"):
            for number, batch in enumerate(batches):
                chosen = None if latents is None else latents[batch[0] : batch[-1] + 1]
                told = _Told(progress, number, len(batches), len(setup.plan))
                sample = _sample(setup, model, batch, chosen, noise, told)
                told("decode", len(setup.plan), "Decoding")
                images += to_pictures(model.decode(sample))
                samples.append(sample.cpu())
        progress(ProgressEvent("done", len(batches) * len(setup.plan), len(batches) * len(setup.plan), "Done"))
        recipes = tuple(setup.recipe(index) for index in indices)
        return GenerationResult(tuple(images), torch.cat(samples), recipes, setup.plan.evaluations or 0, setup.notes)

    def _attention(self, setup: Setup) -> AttentionBackend | None:
        name = setup.plugins["attention"].name if "attention" in setup.plugins else None
        if name is None:
            return None
        log.info("attention: %s", name)
        backend: AttentionBackend = self.host.attention_backends.create(name)
        return backend


class _Told:
    """Progress of one batch, placed within the whole."""

    def __init__(self, progress: Progress, batch: int, batches: int, steps: int) -> None:
        self._progress, self._before, self._total = progress, batch * steps, batches * steps

    def __call__(self, stage: Stage, step: int, text: str, run: Run | None = None) -> None:
        self._progress(ProgressEvent(stage, self._before + step, self._total, text, run))


def _sample(
    setup: Setup,
    model: Model,
    batch: Sequence[int],
    latents: Tensor | None,
    noise: NoiseSource | None,
    told: _Told,
) -> Tensor:
    """Latents of one batch of pictures, (batch, channels, height, width), from noise."""
    request, plan = setup.request, setup.plan
    told("encode", 0, "Encoding the prompt")
    guidance = ClassifierFree(request.guidance or 0.0, always="uncond" in plan.scheduler.needs)
    cond = model.encode_prompt([request.prompts[index] for index in batch])
    uncond = model.encode_prompt([request.negative] * len(batch)) if guidance.unconditional else cond
    assert request.seed is not None
    keyed = KeyedNoise(request.seed, batch)
    if latents is None:
        like = torch.empty((len(batch), *setup.latent_shape), device=model.device)
        latents = keyed.initial(like)
    run = plan.start(
        latents.to(model.device) * plan.noise_scale(request.initial_noise), noise=keyed if noise is None else noise
    )
    told("sample", 0, "Sampling", run)
    while (query := run.query) is not None:
        guided = guidance(model, query, cond, uncond)
        run.advance(guided.output, uncond=guided.uncond)
        if run.index > query.index:
            told("sample", run.index, "Sampling", run)
    return run.sample


def _silent(event: ProgressEvent) -> None:
    """Nobody is looking."""
