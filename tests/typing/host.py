"""A typed host application, for type checkers: it is checked and not run. Nothing here needs a checker's plug-in."""

from __future__ import annotations

import threading
from pathlib import Path

from torch import Tensor

from latentry import (
    Drawn,
    Ended,
    Engine,
    GenerationRequest,
    GenerationResult,
    Job,
    JobState,
    LatentryError,
    Leading,
    LoraRequest,
    MemoryPolicy,
    PluginHost,
    Prediction,
    Previewed,
    ProgressEvent,
    Recipe,
    Run,
    Scheduler,
    Stepped,
    VariancePreserving,
    read_recipe,
)


class Studio:
    """Draws one request at a time, and can be asked to stop."""

    def __init__(self, plugin_dirs: tuple[Path, ...] = ()) -> None:
        self.host = PluginHost(plugin_dirs=plugin_dirs)
        self.engine = Engine(self.host, MemoryPolicy(offload="model", dtypes={"vae": "float32"}))
        self.cancelled = threading.Event()
        self.previews: list[Tensor] = []

    def draw(self, prompt: str) -> GenerationResult:
        """One picture with a LoRA."""
        request = GenerationRequest(prompt=prompt, seed=7, loras=(LoraRequest(path="ink.safetensors", weight=0.8),))
        return self.engine.generate(request, progress=self.follow)

    def again(self, picture: Path) -> GenerationResult:
        """A picture drawn before."""
        recipe: Recipe = read_recipe(picture)
        return self.engine.reproduce(recipe, progress=self.follow)

    def follow(self, event: ProgressEvent) -> None:
        """Called between steps."""
        if event.run is not None:
            self.previews.append(event.run.sample)
        if self.cancelled.is_set():
            raise KeyboardInterrupt(f"{event.stage} {event.done}/{event.total}")


async def serve(engine: Engine, request: GenerationRequest) -> tuple[JobState, list[GenerationResult]]:
    """A job in an event loop."""
    job: Job = engine.submit(request, priority=1, deadline=60.0, previews=2)
    state: JobState = job.state
    batches: list[GenerationResult] = []
    async for event in job.aevents():
        match event:
            case Stepped(moment):
                print(moment.stage, moment.done)
            case Previewed(index, image):
                image.save(f"{index}.png")
            case Drawn(result):
                batches.append(result)
            case Ended(state, error):
                print(error)
            case _:
                pass
    whole: GenerationResult = await job.aresult()
    return state, [whole, *batches]


def move(engine: Engine, job: Job) -> Job:
    """To another engine, which may be in another process."""
    state: bytes = job.pause(timeout=5.0)
    return engine.resume(state)


def residents(engine: Engine) -> dict[str, int]:
    """What is in memory."""
    return {each.name: each.bytes for each in engine.loaded() if not each.pinned}


def defaults() -> tuple[GenerationRequest, LoraRequest, MemoryPolicy]:
    """What a caller has to say, and no more."""
    return GenerationRequest(prompt="x"), LoraRequest(path="ink.safetensors"), MemoryPolicy()


def sizes(request: GenerationRequest) -> tuple[int | None, int | None, str | None, tuple[LoraRequest, ...]]:
    """Fields have the types that they are declared with."""
    return request.width, request.height, request.scheduler, request.loras


def sample(host: PluginHost, noise: Tensor) -> Tensor:
    """A run of one's own: the host decides when the network is evaluated."""
    scheduler: Scheduler = host.schedulers.create("ddim", eta=0.5)
    process = VariancePreserving.from_betas("scaled_linear")
    plan = scheduler.plan(20, process=process, prediction=Prediction.EPSILON, sigmas=Leading())
    run: Run = plan.start(noise, seed=7)
    while (query := run.query) is not None:
        run.advance(network(query.input, query.timestep))
    return run.sample


def network(x: Tensor, timestep: float) -> Tensor:
    """A stand-in for a trained network."""
    return x * timestep


def describe(error: LatentryError) -> str:
    """What a user of the host reads."""
    return " ".join(part for part in (error.what, error.why, error.remedy) if part)
