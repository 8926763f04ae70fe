"""From a request to pictures."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from threading import Lock

import torch
from PIL.Image import Image
from torch import Tensor

from latentry._attention._available import AvailableBackends
from latentry._attention._guard import AttentionGuard
from latentry._attention._serving import serving
from latentry._contract._lora import ChosenLoras
from latentry._contract._model import Model
from latentry._contract._progress import BatchProgress, Progress, ProgressEvent, silent
from latentry._discovery import PluginHost, plugin_call
from latentry._errors import NonFiniteError
from latentry._files._fingerprint import Fingerprints
from latentry._files._opened import OpenedCheckpoints
from latentry._generate._decode import Drawn, Finished, autoencoder_of, decode, hand_out, ignore, in_float32, to_result
from latentry._generate._finite import non_finite
from latentry._generate._kept_plans import KeptPlans
from latentry._generate._loaded_model import LoadedModel
from latentry._generate._loop import Sampled, Sampling
from latentry._generate._network import GuidedNetwork
from latentry._generate._reproduction import check_inputs, check_plugins, check_revision, check_same
from latentry._generate._shared_setting import SharedSetting
from latentry._generate._start import AutoencoderOverflow, Start, choose_start
from latentry._memory._offload import offloaded
from latentry._memory._out_of_memory import reporting_out_of_memory
from latentry._memory._residency import Move, to_device
from latentry._memory._upcast import upcast
from latentry._numerics._noise import NoiseSource
from latentry._policy import ANYTHING, Policy
from latentry._request._generation_request import GenerationRequest
from latentry._request._given_noise import GivenNoise
from latentry._request._limits import check_request
from latentry._request._memory_policy import MemoryPolicy
from latentry._request._recipe import Recipe
from latentry._request._result import GenerationResult
from latentry._resolve._prepare import prepare
from latentry._resolve._setup import Setup


class Engine:
    """Makes pictures with the plugins of a host. Keeps the models of the last request in memory.

    Threads may share an engine. Requests for the same model, attention and LoRAs run at the same time; a request for
    others waits until they are done.

    Args:
        host: where schedulers, sigma schedules, families and checkpoints come from.
        memory: how memory is saved. With offload, requests run one after another.
        policy: what requests may ask for; give one where they come from others.
        move: copies weights to the device, with offload.
    """

    def __init__(
        self,
        host: PluginHost,
        memory: MemoryPolicy | None = None,
        *,
        policy: Policy = ANYTHING,
        move: Move = to_device,
    ) -> None:
        self.host, self.memory, self.policy = host, memory or MemoryPolicy(), policy
        self._backends, self._move = AvailableBackends(host), move
        self._fingerprints, self._opened, self._plans = Fingerprints(), OpenedCheckpoints(), KeptPlans()
        self._device: SharedSetting[None] = SharedSetting()
        self._kept: dict[tuple[Hashable, ...], LoadedModel] = {}
        self._loading = Lock()

    def prepare(
        self,
        request: GenerationRequest,
        *,
        init_image: Image | None = None,
        mask: Image | None = None,
        progress: Progress | None = None,
    ) -> Setup:
        """Decides everything that a request leaves open, without loading weights. May download a model.

        Args:
            request: what is wanted.
            init_image: the picture to begin from, instead of the file that the request names.
            mask: likewise; the picture is redrawn where the mask is white.
            progress: called while something is downloaded; an exception raised in it cancels.

        Raises:
            LatentryError: something is unknown, does not fit, is not available here, or is against the policy.
        """
        return self._prepare(request, {"init_image": init_image, "mask": mask}, progress)

    def load(self, setup: Setup) -> Model:
        """The model of a setup; loaded, unless it still is from the last request."""
        return self._load(setup)[0].model

    @contextmanager
    def network(self, setup: Setup) -> Iterator[GuidedNetwork]:
        """The network of a setup, guided, in its attention, with its LoRAs: for plans of the caller's own.

        Args:
            setup: from ``prepare``.
        """
        loaded = self._load(setup)
        with self._served(setup, loaded), reporting_out_of_memory("sampling"):
            start = Start(setup.plan, setup.plan.noise_scale(setup.request.initial_noise))
            yield GuidedNetwork(Sampling(setup, loaded, start, GivenNoise(None, None)))

    def generate(
        self,
        request: GenerationRequest,
        *,
        init_image: Image | None = None,
        mask: Image | None = None,
        latents: Tensor | None = None,
        noise: NoiseSource | None = None,
        progress: Progress | None = None,
        finished: Finished | None = None,
    ) -> GenerationResult:
        """The pictures of a request.

        Args:
            request: what is wanted.
            init_image: see ``prepare``.
            mask: see ``prepare``.
            latents: standard normal initial noise (pictures, channels, height, width), in place of the engine's own; it
                is scaled in the same way.
            noise: draws for stochastic schedulers; by default they are keyed by seed and picture.
            progress: called at every step; an exception raised in it cancels.
            finished: called with the result of each batch as soon as it is decoded; an exception raised in it cancels.

        Raises:
            LatentryError: see ``prepare``; also where the checkpoint is damaged or memory runs out.
        """
        setup = self.prepare(request, init_image=init_image, mask=mask, progress=progress)
        given = GivenNoise(latents, noise)
        given.check((len(request.prompts), *setup.latent_shape))
        return self._run(setup, range(len(request.prompts)), given, progress or silent, finished or ignore)

    def reproduce(
        self,
        recipe: Recipe,
        *,
        init_image: Image | None = None,
        mask: Image | None = None,
        latents: Tensor | None = None,
        noise: NoiseSource | None = None,
        anyway: bool = False,
        policy: Policy | None = None,
        progress: Progress | None = None,
    ) -> GenerationResult:
        """Makes the one picture of a recipe again, in the same batch as then, on which its last bit depends.

        Args:
            recipe: of the picture.
            init_image: the picture it started from, in place of the file that the recipe names.
            mask: likewise.
            latents: what ``generate`` was given, for all pictures of the request.
            noise: likewise.
            anyway: continue where versions, files or input pictures differ, and with them the pixels.
            policy: what may be opened on the recipe's word, in place of the engine's policy; give one for pictures that
                come from strangers.
            progress: as in ``generate``.

        Raises:
            NotAllowed: the policy forbids to open a file.
            RecipeError: a plugin is missing; or a version, the checkpoint, a LoRA or an input picture differs.
        """
        pictures = {"init_image": init_image, "mask": mask}
        given = GivenNoise(latents, noise)
        check_inputs(recipe, [name for name, picture in pictures.items() if picture is not None], given)
        policy = self.policy if policy is None else policy
        check_request(policy, recipe.request)
        if not anyway:
            check_plugins(recipe, self.host)
        setup = self._prepare(recipe.request, pictures, progress, strict=False, opening=policy)
        given.check((len(recipe.request.prompts), *setup.latent_shape))
        if not anyway:
            check_revision(recipe, setup)
            check_same(recipe, setup, given)
        first = recipe.index // recipe.request.batch * recipe.request.batch
        end = min(first + recipe.request.batch, len(recipe.request.prompts))
        result = self._run(setup.again(recipe), range(first, end), given, progress or silent)
        at = recipe.index - first
        return replace(
            result,
            images=result.images[at : at + 1],
            latents=result.latents[at : at + 1],
            recipes=result.recipes[at : at + 1],
        )

    def _prepare(
        self,
        request: GenerationRequest,
        pictures: Mapping[str, Image | None],
        progress: Progress | None,
        *,
        strict: bool = True,
        opening: Policy | None = None,
    ) -> Setup:
        backends, policy = self._backends, self.memory
        setup = prepare(
            self.host,
            request,
            pictures,
            backends,
            progress or silent,
            policy,
            strict=strict,
            opening=self.policy if opening is None else opening,
            opened=self._opened,
        )
        return replace(setup, plan=self._plans(setup.plan), fingerprints=self._fingerprints)

    def _load(self, setup: Setup) -> tuple[LoadedModel, ...]:
        """The model, and after it its refiner and its guidance's, where there are any."""
        wanted = setup.networks
        with self._loading:
            # other models go first, before their memory is needed
            self._kept = {key: loaded for key, loaded in self._kept.items() if key in wanted}
            for key, checkpoint in wanted.items():
                if key not in self._kept:
                    with reporting_out_of_memory("loading the model"), plugin_call(checkpoint):
                        self._kept[key] = LoadedModel(checkpoint.load(setup.home, setup.dtype, setup.memory.dtypes))
            return tuple(self._kept[key] for key in wanted)

    @torch.no_grad()
    def _run(
        self,
        setup: Setup,
        indices: Sequence[int],
        given: GivenNoise,
        progress: Progress,
        finished: Finished = ignore,
    ) -> GenerationResult:
        progress(ProgressEvent("load", 0, 0, f"Loading {setup.located.name}"))
        loaded = self._load(setup)
        try:
            return self._draw(setup, loaded, indices, given, progress, finished)
        except AutoencoderOverflow:
            setup = in_float32(setup, loaded[0].model)
        try:  # the picture is encoded at the start, so that starting again loses nothing
            return self._draw(setup, loaded, indices, given, progress, finished)
        except AutoencoderOverflow:
            raise non_finite(autoencoder_of(loaded[0].model)) from None

    def _draw(
        self,
        setup: Setup,
        loaded: Sequence[LoadedModel],
        indices: Sequence[int],
        given: GivenNoise,
        progress: Progress,
        finished: Finished,
    ) -> GenerationResult:
        """Draws in batches. Where one fails with values that are not finite, the error has the pictures before it."""
        # an adaptive scheduler would choose the steps of one picture by the errors of the others
        batch = 1 if setup.plan.scheduler.adaptive else setup.request.batch
        steps, model = len(setup.plan), loaded[0].model
        batches = [indices[i : i + batch] for i in range(0, len(indices), batch)]
        drawn: list[Drawn] = []
        failure: NonFiniteError | None = None
        notes = dict.fromkeys(setup.notes)
        with ExitStack() as serving, reporting_out_of_memory("sampling"):
            served = list(serving.enter_context(self._served(setup, loaded)))
            if setup.inputs.image is not None:
                progress(ProgressEvent("encode", 0, len(batches) * steps, "Encoding the picture"))
            sampling = Sampling(setup, loaded, choose_start(setup, model), given)
            try:
                for number, pictures in enumerate(batches):
                    reporting = BatchProgress(progress, number, len(batches), steps)
                    sampled = sampling(pictures, reporting)
                    reporting("decode", steps, "Decoding")
                    used, found = setup, decode(model, pictures, sampled)
                    if found is None:
                        used = in_float32(setup, model)
                        serving.close()  # the networks are shared with other threads
                        found = self._decode_again(used, loaded, pictures, sampled)
                        served += serving.enter_context(self._served(setup, loaded))
                    drawn.append(found)
                    notes |= dict.fromkeys(used.notes)
                    hand_out(self.host, found, used, given, model, finished)
            except NonFiniteError as error:
                failure = error
        notes |= dict.fromkeys(note for guard in served for note in guard.notes)
        result = to_result(self.host, drawn, setup, given, tuple(notes), model)
        if failure is not None:
            failure.finished = result
            raise failure
        assert result is not None
        progress(ProgressEvent("done", len(batches) * steps, len(batches) * steps, "Done"))
        return result

    def _decode_again(
        self, setup: Setup, loaded: Sequence[LoadedModel], pictures: Sequence[int], sampled: Sampled
    ) -> Drawn:
        """Decodes one batch with other settings of the autoencoder; batches before and after it keep theirs, so that no
        picture depends on what was drawn beside it.

        Raises:
            NonFiniteError: the pixels are not finite with these either.
        """
        model = loaded[0].model
        with self._served(setup, loaded):
            if (found := decode(model, pictures, sampled)) is None:
                raise non_finite(autoencoder_of(model))
        return found

    @contextmanager
    def _served(self, setup: Setup, loaded: Sequence[LoadedModel]) -> Iterator[list[AttentionGuard]]:
        """Sets LoRAs, attention, tiling and offload on the models for as long as a request uses them."""
        with ExitStack() as stack:
            served: list[AttentionGuard] = []
            for each in sorted(loaded, key=id):  # one order in all threads: they must not wait for one another
                loras = setup.loras if each is loaded[0] else ChosenLoras()
                setting = partial(_set, each.model, self._backends, setup, loras)
                served += stack.enter_context(each.setting.hold((setup.serving, loras.key), setting))
            if setup.memory.policy.offload != "none":
                models = [each.model for each in loaded]
                moving = partial(offloaded, *models, device=setup.device, policy=setup.memory.policy, move=self._move)
                stack.enter_context(
                    self._device.hold(object(), moving)
                )  # equal to no other, so that no other thread is let in
            yield served


@contextmanager
def _set(
    model: Model, backends: AvailableBackends, setup: Setup, loras: ChosenLoras
) -> Iterator[tuple[AttentionGuard, ...]]:
    request, memory = setup.request, setup.memory
    with ExitStack() as stack:
        with plugin_call(model):  # around entering alone: what is raised inside the context is not the family's
            stack.enter_context(model.set_loras(loras.requests, loras.mode))
            guards = stack.enter_context(serving(model, backends, request.attention, request.attention_options))
            stack.enter_context(model.set_tiling(memory.tile, slicing=memory.slicing))
        if setup.float32_autoencoder and "vae" in model.networks:
            stack.enter_context(upcast(model.networks["vae"], torch.float32))
        yield guards
