"""From a request to pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from PIL.Image import Image
from torch import Tensor

from latentry._attention._available import AvailableBackends
from latentry._contract._model import Model
from latentry._contract._progress import Progress, silent
from latentry._discovery import PluginHost
from latentry._files._compatible import Compatibility, compatible
from latentry._files._fingerprint import Fingerprints
from latentry._files._opened import OpenedCheckpoints
from latentry._generate._batch._decode import Finished, ignore
from latentry._generate._batch._loop import Sampling
from latentry._generate._batch._start import Start
from latentry._generate._drawing import Drawing, Progressed, Studio
from latentry._generate._job_drawing import JobDrawing
from latentry._generate._kept._models import Models, Resident
from latentry._generate._kept._plans import KeptPlans
from latentry._generate._network import GuidedNetwork
from latentry._generate._reproduction import (
    check_inputs,
    check_plugins,
    check_revision,
    check_same,
    with_its_weights,
    with_options_of_its_time,
)
from latentry._generate._saved import SavedJob
from latentry._jobs._company import Alone, InJob
from latentry._jobs._course import Course
from latentry._jobs._device import Device
from latentry._jobs._job import Job
from latentry._jobs._queue import JobQueue
from latentry._memory._out_of_memory import reporting_out_of_memory
from latentry._memory._residency import Move, to_device
from latentry._numerics._running._noise import NoiseSource
from latentry._policy import ANYTHING, Policy
from latentry._request._generation_request import GenerationRequest
from latentry._request._given_noise import GivenNoise
from latentry._request._memory_policy import MemoryPolicy
from latentry._request._recipe import Recipe
from latentry._request._result import GenerationResult
from latentry._request._values._limits import check_request
from latentry._resolve._known import Known
from latentry._resolve._prepare import prepare
from latentry._resolve._setup import Setup


class Engine:
    """Makes pictures with the plugins of a host.

    ``generate`` draws in the caller's thread, ``submit`` in the engine's own, where requests that have a model, a size,
    attention and LoRAs in common share the passes through its network. Threads may share an engine. A request that
    wants another attention or other LoRAs of a model in use waits for those before it, and later ones wait for it.

    Args:
        host: where schedulers, sigma schedules, families and checkpoints come from.
        memory: how memory is saved. With offload, requests run one after another.
        policy: what requests may ask for; give one where they come from others.
        budget: bytes of weights that are kept in memory between requests, the models used last; None keeps those of
            the last request alone.
        batch_invariant: jobs share no passes, so that a picture has the same bits in any company. Otherwise its latents
            differ from those that it has alone by rounding; its noise never does.
        move: copies weights to the device, with offload.
    """

    def __init__(
        self,
        host: PluginHost,
        memory: MemoryPolicy | None = None,
        *,
        policy: Policy = ANYTHING,
        budget: int | None = None,
        batch_invariant: bool = False,
        move: Move = to_device,
    ) -> None:
        self.host, self.memory, self.policy = host, memory or MemoryPolicy(), policy
        self._fingerprints, self._opened, self._plans = Fingerprints(), OpenedCheckpoints(), KeptPlans()
        self._known = Known()
        self._studio = Studio(host, AvailableBackends(host), Models(budget), move)
        self._queue, self._device = JobQueue(), Device(batch_invariant=batch_invariant)

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

    def compatible(self, model: str) -> tuple[Compatibility, ...]:
        """Every installed scheduler with a model, for each task, the recommended ones first; see ``compatible``.

        Args:
            model: an installed name, a family, a variant, or a path.

        Raises:
            NotAllowed: the policy does not allow to look at it.
            OptionError: no family knows it.
        """
        return compatible(self.host, model, self.policy)

    def load(self, setup: Setup) -> Model:
        """The model of a setup; loaded, unless it still is from an earlier request."""
        return self._studio.models.load(setup)[0].model

    def loaded(self) -> tuple[Resident, ...]:
        """The models in memory, the one that was not used for longest first."""
        return self._studio.models.residents()

    def unload(self, name: str) -> int:
        """Drops a model from memory, pinned or not, and returns the bytes of its weights.

        Requests that are using it keep it until they end.

        Args:
            name: as in ``loaded``.

        Raises:
            UnknownName: no such model is in memory.
        """
        return self._studio.models.unload(name)

    def pin(self, name: str, *, pinned: bool = True) -> None:
        """Keeps a model in memory whatever comes, from when it is next loaded; or no longer.

        Args:
            name: as in ``loaded``.
            pinned: False ends it.
        """
        self._studio.models.pin(name, pinned)

    @contextmanager
    def network(self, setup: Setup) -> Iterator[GuidedNetwork]:
        """The network of a setup, guided, in its attention, with its LoRAs: for plans of the caller's own.

        Args:
            setup: from ``prepare``.
        """
        with (
            self._studio.models.lend(setup) as loaded,
            self._studio.served(setup, loaded, Alone()),
            reporting_out_of_memory("sampling"),
        ):
            controls = self._studio.start(setup, loaded[0].model).controls
            start = Start(setup.plan, setup.plan.noise_scale(setup.request.initial_noise), controls=controls)
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
        return self._draw(setup, range(len(request.prompts)), given, progress, finished)

    def submit(
        self,
        request: GenerationRequest,
        *,
        init_image: Image | None = None,
        mask: Image | None = None,
        priority: float = 0,
        deadline: float | None = None,
        progress: Progress | None = None,
        previews: int = 0,
    ) -> Job:
        """Has a request drawn in the engine's own threads, beside others. Returns at once; faults are in the result.

        Jobs are taken in the order in which they are due: ten minutes after they came, or at their deadline if that is
        sooner, and a minute earlier for each degree of priority. So every job's turn comes.

        Args:
            request: what is wanted.
            init_image: see ``prepare``.
            mask: see ``prepare``.
            priority: higher ones are taken first.
            deadline: in seconds from now; what is not finished then fails.
            progress: called in the job's thread at every step; an exception raised in it ends the job.
            previews: a ``Previewed`` event after every so many steps, where the model has ``preview``; 0 for none.
        """
        given = {"init_image": init_image, "mask": mask}

        def prepared(download: Progress) -> Setup:
            return self._prepare(request, given, download)

        return self._enqueue(request, prepared, given, Progressed(), priority, deadline, progress, previews)

    def resume(
        self,
        state: bytes,
        *,
        policy: Policy | None = None,
        priority: float = 0,
        deadline: float | None = None,
        progress: Progress | None = None,
        previews: int = 0,
    ) -> Job:
        """Continues a job from what ``Job.pause`` returned, here or in another process, to the same bits.

        Args:
            state: of the job.
            policy: what may be opened on the state's word, in place of the engine's policy; give one for states that
                come from strangers.
            priority: see ``submit``.
            deadline: see ``submit``.
            progress: see ``submit``.
            previews: see ``submit``.

        Raises:
            RecipeError: the bytes are not a saved job. What is missing or differs here is in the job's result.
        """
        saved = SavedJob.from_bytes(state)
        recipe, given = saved.recipe, {"init_image": None, "mask": None, **saved.given}

        def prepared(download: Progress) -> Setup:
            return self._prepare_again(recipe, given, GivenNoise(), policy, download)

        return self._enqueue(recipe.request, prepared, given, saved.done, priority, deadline, progress, previews)

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
        setup = self._prepare_again(recipe, pictures, given, policy, progress, anyway=anyway)
        first = recipe.index // recipe.request.batch * recipe.request.batch
        end = min(first + recipe.request.batch, len(recipe.request.prompts))
        result = self._draw(setup, range(first, end), given, progress)
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
        backends, policy = self._studio.backends, self.memory
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
            known=self._known,
        )
        larger = setup.larger and replace(setup.larger, plan=self._plans(setup.larger.plan))
        return replace(setup, plan=self._plans(setup.plan), larger=larger, fingerprints=self._fingerprints)

    def _prepare_again(
        self,
        recipe: Recipe,
        pictures: Mapping[str, Image | None],
        given: GivenNoise,
        policy: Policy | None,
        progress: Progress | None,
        *,
        anyway: bool = False,
    ) -> Setup:
        """The setup of a recipe, which is refused where something differs here."""
        check_inputs(recipe, [name for name, picture in pictures.items() if picture is not None], given)
        policy = self.policy if policy is None else policy
        check_request(policy, recipe.request)
        recipe = with_options_of_its_time(recipe, self.host)
        if not anyway:
            check_plugins(recipe, self.host)
        request = with_its_weights(recipe.request)
        setup = self._prepare(request, pictures, progress, strict=False, opening=policy)
        given.check((len(recipe.request.prompts), *setup.latent_shape))
        if not anyway:
            check_revision(recipe, setup)
            check_same(recipe, setup, given)
        return setup.again(recipe)

    def _enqueue(
        self,
        request: GenerationRequest,
        prepared: Callable[[Progress], Setup],
        given: Mapping[str, Image | None],
        done: Progressed,
        priority: float,
        deadline: float | None,
        progress: Progress | None,
        previews: int,
    ) -> Job:
        course, due = Course(request), self._queue.due(priority, deadline)
        company = InJob(course, self._device, due)
        drawing = JobDrawing(self._studio, course, company, prepared, given, done, progress, previews)
        if deadline is not None:
            course.expire_after(deadline)
        self._queue.put(due, lambda: course.draw(drawing))
        return Job(course)

    def _draw(
        self,
        setup: Setup,
        indices: Sequence[int],
        given: GivenNoise,
        progress: Progress | None,
        finished: Finished | None = None,
    ) -> GenerationResult:
        """Draws in this thread."""
        return Drawing(self._studio, setup, indices, given, progress or silent, finished or ignore)()
