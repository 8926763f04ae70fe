"""From a request to pictures."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from threading import Lock

import torch
from PIL.Image import Image
from torch import Tensor

from latentry._attention._guard import AttentionGuard
from latentry._attention._roster import Roster
from latentry._attention._serving import serving
from latentry._contract._lora import ChosenLoras
from latentry._contract._model import Model
from latentry._contract._progress import Progress, ProgressEvent, Told, silent
from latentry._discovery import PluginHost
from latentry._generate._images import to_pictures
from latentry._generate._loaded_model import Loaded
from latentry._generate._loop import Sampled, Sampling
from latentry._generate._reproduction import check_inputs, check_plugins, check_same
from latentry._generate._shared_setting import Turns
from latentry._generate._start import begin
from latentry._memory._offload import offloaded
from latentry._memory._out_of_memory import out_of_memory_told
from latentry._memory._residency import Move, to_device
from latentry._numerics._noise import NoiseSource
from latentry._request._generation_request import GenerationRequest
from latentry._request._given_noise import OwnNoise
from latentry._request._memory_policy import MemoryPolicy
from latentry._request._recipe import Recipe
from latentry._request._result import GenerationResult
from latentry._resolve._prepare import prepare
from latentry._resolve._setup import Setup


class Engine:
    """Makes pictures with the plugins of a host. Keeps the models of the last request in memory.

    Threads may share an engine. Those that ask for one model, one attention and the same LoRAs run at once; one that
    asks for others waits until they are done.

    Args:
        host: where schedulers, sigma schedules, families and checkpoints come from.
        memory: how memory is saved. With offload, requests go one after another.
        move: how weights come to the device with offload.
    """

    def __init__(self, host: PluginHost, memory: MemoryPolicy | None = None, *, move: Move = to_device) -> None:
        self.host, self.memory = host, memory or MemoryPolicy()
        self._attention, self._move = Roster(host), move
        self._device: Turns[None] = Turns()
        self._kept: dict[tuple[Hashable, ...], Loaded] = {}
        self._loading = Lock()

    def prepare(
        self,
        request: GenerationRequest,
        *,
        init_image: Image | None = None,
        mask: Image | None = None,
        progress: Progress | None = None,
    ) -> Setup:
        """Decides everything a request leaves open, without loading a weight; a model of the hub is downloaded.

        Args:
            request: what is wanted.
            init_image: the picture to begin from, instead of the file that the request names.
            mask: likewise what of it is drawn anew: where it is white.
            progress: called while something is downloaded; raising in it cancels.

        Raises:
            LatentryError: something is unknown, does not fit or cannot be had here.
        """
        return prepare(self.host, request, init_image, mask, self._attention, progress or silent, self.memory)

    def load(self, setup: Setup) -> Model:
        """The model of a setup, loaded unless it is the one of the last request."""
        return self._load(setup)[0].model

    def generate(
        self,
        request: GenerationRequest,
        *,
        init_image: Image | None = None,
        mask: Image | None = None,
        latents: Tensor | None = None,
        noise: NoiseSource | None = None,
        progress: Progress | None = None,
    ) -> GenerationResult:
        """The pictures of a request.

        Args:
            request: what is wanted.
            init_image: see ``prepare``.
            mask: see ``prepare``.
            latents: standard normal start noise of the caller's own, (pictures, channels, height, width); it is scaled
                as the engine's own would be.
            noise: draws of the caller's own for stochastic schedulers; by default keyed by seed and picture.
            progress: called at every moment; raising in it cancels.

        Raises:
            LatentryError: see ``prepare``; also a damaged checkpoint and exhausted memory.
        """
        setup = self.prepare(request, init_image=init_image, mask=mask, progress=progress)
        own = OwnNoise(latents, noise)
        own.check((len(request.prompts), *setup.latent_shape))
        return self._run(setup, range(len(request.prompts)), own, progress or silent)

    def reproduce(
        self,
        recipe: Recipe,
        *,
        init_image: Image | None = None,
        mask: Image | None = None,
        latents: Tensor | None = None,
        noise: NoiseSource | None = None,
        anyway: bool = False,
        progress: Progress | None = None,
    ) -> GenerationResult:
        """The one picture of a recipe, in the same batch as then, on which its last bit depends.

        Args:
            recipe: of the picture.
            init_image: the picture it began from, where that is no longer the file that the recipe names.
            mask: likewise.
            latents: what ``generate`` was given, whole.
            noise: likewise.
            anyway: go on though versions, the checkpoint or what it began from differ, so that the pixels may.
            progress: as in ``generate``.

        Raises:
            RecipeError: a plugin or the core is missing, newer or older; the checkpoint or what the picture began from
                is another.
        """
        given = {"init_image": init_image, "mask": mask}
        own = OwnNoise(latents, noise)
        check_inputs(recipe, [name for name, picture in given.items() if picture is not None], own)
        if not anyway:
            check_plugins(recipe, self.host)
        setup = self.prepare(recipe.request, init_image=init_image, mask=mask, progress=progress)
        own.check((len(recipe.request.prompts), *setup.latent_shape))
        if not anyway:
            check_same(recipe, setup, own)
        first = recipe.index // recipe.request.batch * recipe.request.batch
        end = min(first + recipe.request.batch, len(recipe.request.prompts))
        result = self._run(setup.again(recipe), range(first, end), own, progress or silent)
        at = recipe.index - first
        return replace(
            result,
            images=result.images[at : at + 1],
            latents=result.latents[at : at + 1],
            recipes=result.recipes[at : at + 1],
        )

    def _load(self, setup: Setup) -> tuple[Loaded, ...]:
        """The model, and after it its refiner where there is one."""
        wanted = setup.networks
        with self._loading:
            # the memory of the others is needed
            self._kept = {key: loaded for key, loaded in self._kept.items() if key in wanted}
            for key, checkpoint in wanted.items():
                if key not in self._kept:
                    with out_of_memory_told("loading the model"):
                        self._kept[key] = Loaded(checkpoint.load(setup.home, setup.dtype, setup.memory.dtypes))
            return tuple(self._kept[key] for key in wanted)

    @torch.no_grad()
    def _run(
        self,
        setup: Setup,
        indices: Sequence[int],
        own: OwnNoise,
        progress: Progress,
    ) -> GenerationResult:
        progress(ProgressEvent("load", 0, 0, f"Loading {setup.located.name}"))
        loaded, request, steps = self._load(setup), setup.request, len(setup.plan)
        model = loaded[0].model
        batches = [indices[i : i + request.batch] for i in range(0, len(indices), request.batch)]
        images: list[Image] = []
        done: list[Sampled] = []
        with self._served(setup, loaded) as served, out_of_memory_told("sampling"):
            if setup.inputs.image is not None:
                progress(ProgressEvent("encode", 0, len(batches) * steps, "Encoding the picture"))
            sampling = Sampling(setup, loaded, begin(setup, model), own)
            for number, batch in enumerate(batches):
                told = Told(progress, number, len(batches), steps)
                sampled = sampling(batch, told)
                told("decode", steps, "Decoding")
                images += to_pictures(model.decode(sampled.latents))
                done.append(sampled._replace(latents=sampled.latents.cpu()))
        progress(ProgressEvent("done", len(batches) * steps, len(batches) * steps, "Done"))
        recipes = tuple(setup.recipe(index, own) for index in indices)
        notes = (*setup.notes, *(note for guard in served for note in guard.notes))
        samples, evaluations = zip(*done, strict=True)
        return GenerationResult(tuple(images), torch.cat(samples), recipes, max(evaluations), notes, model.report)

    @contextmanager
    def _served(self, setup: Setup, loaded: Sequence[Loaded]) -> Iterator[list[AttentionGuard]]:
        """The models as a setup wants them: LoRAs, attention, the autoencoder's tiles, and offload."""
        with ExitStack() as stack:
            served: list[AttentionGuard] = []
            for each in sorted(loaded, key=id):  # in one order everywhere: threads must not wait for one another
                loras = setup.loras if each is loaded[0] else ChosenLoras()
                setting = partial(_set, each.model, self._attention, setup, loras)
                served += stack.enter_context(each.turns.take((setup.serving, loras.key), setting))
            if setup.memory.policy.offload != "none":
                models = [each.model for each in loaded]
                moving = partial(offloaded, *models, device=setup.device, policy=setup.memory.policy, move=self._move)
                stack.enter_context(self._device.take(object(), moving))  # like no other: nobody else is let in
            yield served


@contextmanager
def _set(model: Model, roster: Roster, setup: Setup, loras: ChosenLoras) -> Iterator[tuple[AttentionGuard, ...]]:
    request, memory = setup.request, setup.memory
    with (
        model.set_loras(loras.requests, loras.mode),
        serving(model, roster, request.attention, request.attention_options) as guards,
        model.set_tiling(memory.tile, slicing=memory.slicing),
    ):
        yield guards
