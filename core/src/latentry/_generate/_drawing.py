"""One request being drawn: from its setup to its result."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self, TypeVar

import torch
from torch import Tensor

from latentry._attention._available import AvailableBackends
from latentry._attention._guard import AttentionGuard
from latentry._attention._serving import serving
from latentry._contract._conditioner import Conditioner
from latentry._contract._lora import ChosenLoras
from latentry._contract._model import Model
from latentry._contract._progress import BatchProgress, Progress, ProgressEvent, silent
from latentry._discovery import PluginHost, plugin_call
from latentry._errors import NonFiniteError
from latentry._generate._batch._decode import (
    Drawn,
    Finished,
    autoencoder_of,
    decode,
    hand_out,
    ignore,
    in_float32,
    to_drawn,
    to_result,
)
from latentry._generate._batch._finite import non_finite
from latentry._generate._batch._loop import Begun, Halted, Sampled, Sampling
from latentry._generate._batch._passes import Passes, enlarged
from latentry._generate._batch._start import AutoencoderOverflow, Start, choose_start
from latentry._generate._kept._conditioners import Conditioners
from latentry._generate._kept._loaded_model import LoadedModel
from latentry._generate._kept._models import Models
from latentry._generate._kept._shared_setting import SharedSetting
from latentry._jobs._company import Alone, Company
from latentry._jobs._course import Interrupted
from latentry._memory._ahead import Pinned, ahead_of
from latentry._memory._offload import Owner, offloaded
from latentry._memory._out_of_memory import reporting_out_of_memory
from latentry._memory._residency import Move
from latentry._memory._upcast import upcast
from latentry._request._given_noise import GivenNoise
from latentry._request._memory_policy import Capture
from latentry._request._result import GenerationResult
from latentry._resolve._setup import Setup

log = logging.getLogger("latentry")

T = TypeVar("T")


@dataclass(frozen=True)
class Studio:
    """What all drawings of an engine share.

    Attributes:
        host: what is installed.
        backends: for attention.
        models: in memory.
        move: copies weights to the device, with offload.
        device: held by the one drawing whose networks take turns there.
        conditioners: in memory.
        pinned: copies of weights that wait there to be copied to the device ahead of use; they go with their models.
    """

    host: PluginHost
    backends: AvailableBackends
    models: Models
    move: Move
    device: SharedSetting[None] = field(default_factory=SharedSetting)
    conditioners: Conditioners = field(default_factory=Conditioners)
    pinned: Pinned = field(default_factory=Pinned)

    @contextmanager
    def served(self, setup: Setup, loaded: Sequence[LoadedModel], company: Company) -> Iterator[list[AttentionGuard]]:
        """Sets LoRAs, attention, tiling and offload on the models for as long as a request uses them."""
        due, wait = company.due, company.wait
        with ExitStack() as stack:
            served: list[AttentionGuard] = []
            steering = sorted(set(self.conditioners.load(setup)), key=id)
            for each in sorted(loaded, key=id):  # one order in all threads: they must not wait for one another
                loras = setup.worn(shared=company.shared) if each is loaded[0] else ChosenLoras()
                setting = partial(_set, each, self.backends, setup, loras)
                served += stack.enter_context(
                    each.setting.hold((setup.serving, loras.key), setting, due=due, wait=wait)
                )
            for control in steering:
                serve = partial(_serve_attention, control.conditioner, self.backends, setup)
                served += stack.enter_context(control.setting.hold(setup.attention, serve, due=due, wait=wait))
            if setup.memory.policy.offload != "none":
                policy, owners = setup.memory.policy, list[Owner](each.model for each in loaded)
                owners += [each.conditioner for each in steering]

                def moving() -> AbstractContextManager[None]:
                    worn = setup.worn(shared=company.shared).key
                    ahead = partial(ahead_of, pinned=self.pinned.under(worn))
                    return offloaded(*owners, device=setup.device, policy=policy, move=self.move, ahead=ahead)

                # equal to no other, so that no other thread is let in
                stack.enter_context(self.device.hold(object(), moving, due=due, wait=wait))
            yield served

    def start(self, setup: Setup, model: Model) -> Start:
        """Where the runs of a setup start; its conditioners must be served."""
        return choose_start(setup, model, [each.conditioner for each in self.conditioners.load(setup)])


@dataclass
class Progressed:
    """How far a drawing has come, batch by batch.

    Attributes:
        drawn: the batches that are finished.
        batches: how many are finished or left out.
        begun: where the next one was left, if it was.
    """

    drawn: list[Drawn] = field(default_factory=list)
    batches: int = 0
    begun: Begun | None = None


Save = Callable[[Setup, Progressed], bytes]
"""Writes down what is needed to go on elsewhere."""


@dataclass
class Drawing:
    """One request being drawn.

    Attributes:
        studio: of the engine.
        setup: everything that was decided.
        indices: which of the request's pictures.
        given: noise of the caller.
        progress: called at every step.
        finished: called with the result of each batch.
        company: with whom it shares networks, and who may end it.
        done: how far it has come.
    """

    studio: Studio
    setup: Setup
    indices: Sequence[int]
    given: GivenNoise
    progress: Progress = silent
    finished: Finished = ignore
    company: Company = field(default_factory=Alone)
    done: Progressed = field(default_factory=Progressed)

    @torch.no_grad()
    def __call__(self) -> GenerationResult:
        """Draws all batches.

        Raises:
            NonFiniteError: with the pictures of the batches before.
            Halted: the job is to be continued elsewhere; ``done`` says where.
            Interrupted: it was left otherwise, and no picture is to be kept.
        """
        self.progress(ProgressEvent("load", 0, 0, f"Loading {self.setup.located.name}"))
        with self.studio.models.lend(self.setup) as loaded:
            try:
                return self._draw(loaded)
            except AutoencoderOverflow:
                self.setup = in_float32(self.setup, loaded[0].model)
            try:  # the picture is encoded at the start, so that starting again loses nothing
                return self._draw(loaded)
            except AutoencoderOverflow:
                raise non_finite(autoencoder_of(loaded[0].model)) from None

    def _draw(self, loaded: Sequence[LoadedModel]) -> GenerationResult:
        """Draws in batches. Where one fails with values that are not finite, the error has the pictures before it."""
        setup, model, done = self.setup, loaded[0].model, self.done
        # what is decided by values would be decided for one picture by those of the others
        size = 1 if setup.one_by_one else setup.request.batch
        batches = [self.indices[i : i + size] for i in range(0, len(self.indices), size)]
        failure: NonFiniteError | None = None
        given: GenerationResult | None = None
        notes = dict.fromkeys(setup.notes)
        with _Served(self, loaded) as served, reporting_out_of_memory("sampling"):
            if setup.inputs.image is not None:
                self.progress(ProgressEvent("encode", 0, len(batches) * setup.steps, "Encoding the picture"))
            passes = self._passes(loaded)
            try:
                for number, pictures in enumerate(batches[done.batches :], done.batches):
                    reporting = BatchProgress(self.progress, number, len(batches), setup.steps)
                    served.setup = setup
                    with self._left_out():
                        enlarge = partial(served.autoencoded, self._enlarged(model))
                        with self.company.sampling():
                            sampled = passes(pictures, reporting, done.begun, enlarge)
                            reporting("decode", setup.steps, "Decoding")
                            pixels = served.autoencoded(partial(decode, model, self.company), sampled)
                        self.company.check(batch=True)
                        found = to_drawn(pictures, sampled, pixels)
                        done.drawn.append(found)
                        notes |= dict.fromkeys(served.setup.notes)
                        given = hand_out(self.studio.host, found, served.setup, self.given, model, self.finished)
                    done.batches, done.begun = number + 1, None
            except NonFiniteError as error:
                failure = error
            except Interrupted as interrupted:
                if interrupted.wish != "keep" or not done.drawn:
                    raise
            except Halted as halted:
                done.begun = halted.begun
                raise
        notes |= dict.fromkeys(note for guard in served.guards for note in guard.notes)
        if given is not None and len(done.drawn) == 1:
            result: GenerationResult | None = replace(given, notes=tuple(notes))
        else:
            result = to_result(self.studio.host, done.drawn, setup, self.given, tuple(notes), model)
        if failure is not None:
            failure.finished = result
            raise failure
        if result is None:  # every batch was skipped
            raise Interrupted("drop")
        total = len(batches) * setup.steps
        self.progress(ProgressEvent("done", total, total, "Done"))
        return result

    def _enlarged(self, model: Model) -> Callable[[Sampled], Tensor | None]:
        return lambda sampled: self.company.run(partial(enlarged, model, self.setup, sampled))

    def _passes(self, loaded: Sequence[LoadedModel]) -> Passes:
        setup, model = self.setup, loaded[0].model
        start = self.company.run(partial(self.studio.start, setup, model))
        first = Sampling(setup, loaded, start, self.given, self.company)
        if setup.larger is None:
            return Passes(first)
        start = self.company.run(partial(self.studio.start, setup.larger, model))
        noise = replace(self.given, latents=None)
        return Passes(first, Sampling(setup.larger, loaded, start, noise, self.company))

    @contextmanager
    def _left_out(self) -> Iterator[None]:
        """Goes on with the next batch where this one is skipped."""
        try:
            yield
        except Interrupted as interrupted:
            if interrupted.wish != "skip":
                raise


class _Served:
    """The networks of a drawing while they are set as its setup says.

    Args:
        drawing: whose they are.
        loaded: its models.

    Attributes:
        guards: of attention.
        setup: of the batch that is being drawn.
    """

    def __init__(self, drawing: Drawing, loaded: Sequence[LoadedModel]) -> None:
        self._drawing, self._loaded, self.setup = drawing, loaded, drawing.setup
        self._stack, self.guards = ExitStack(), list[AttentionGuard]()

    def __enter__(self) -> Self:
        self._serve(self._stack, self._drawing.setup)
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def autoencoded(self, work: Callable[[Sampled], T | None], sampled: Sampled) -> T:
        """What the autoencoder makes of one batch; where it overflows, in float32. Batches before and after it keep
        their settings, so that no picture depends on what was drawn beside it.

        Raises:
            NonFiniteError: the values are not finite in float32 either.
        """
        drawing, model = self._drawing, self._loaded[0].model
        if (found := work(sampled)) is not None:
            return found
        self.setup = in_float32(drawing.setup, model)
        self._stack.close()  # the networks are shared with other threads
        with drawing.company.outside():  # those finish before it is its turn
            with ExitStack() as other:
                self._serve(other, self.setup)
                found = work(sampled)
            if found is None:
                raise non_finite(autoencoder_of(model))
            self._serve(self._stack, drawing.setup)
        return found

    def _serve(self, stack: ExitStack, setup: Setup) -> None:
        drawing = self._drawing
        self.guards += stack.enter_context(drawing.studio.served(setup, self._loaded, drawing.company))


@contextmanager
def _serve_attention(
    conditioner: Conditioner, backends: AvailableBackends, setup: Setup
) -> Iterator[tuple[AttentionGuard, ...]]:
    request = setup.request
    with ExitStack() as stack:
        with plugin_call(conditioner):
            guards = stack.enter_context(serving(conditioner, backends, request.attention, request.attention_options))
        yield guards


@contextmanager
def _set(
    loaded: LoadedModel, backends: AvailableBackends, setup: Setup, loras: ChosenLoras
) -> Iterator[tuple[AttentionGuard, ...]]:
    model, request, memory = loaded.model, setup.request, setup.memory
    capture = _capture(memory.capture, loaded, loras)
    settings = loaded.settings() if capture != "off" else {}
    with ExitStack() as stack:
        with plugin_call(model):  # around entering alone: what is raised inside the context is not the family's
            stack.enter_context(model.set_loras(loras.requests, loras.mode))
            guards = stack.enter_context(serving(model, backends, request.attention, request.attention_options))
            stack.enter_context(model.set_tiling(memory.tile, slicing=memory.slicing))
        if setup.float32_autoencoder and "vae" in model.networks:
            stack.enter_context(upcast(model.networks["vae"], torch.float32))
        if request.fast and capture not in ("script", "compile"):
            stack.enter_context(loaded.packing())
        stack.enter_context(loaded.capturing(capture, (setup.attention, loras.key, request.fast), settings))
        yield guards


def _capture(wanted: Capture, loaded: LoadedModel, loras: ChosenLoras) -> Capture:
    """How the networks are captured now, before anything is set on them."""
    if loras.varying or wanted == "off":  # a graph holds the weights of its LoRAs
        return "off"
    if wanted == "auto" and loras.requests and loras.mode == "unmerged":  # and with them memory after its end
        return "off"
    if loaded.is_watched:
        log.info("the denoiser is not captured: a host has put hooks or code of its own into it")
        return "off"
    return wanted
