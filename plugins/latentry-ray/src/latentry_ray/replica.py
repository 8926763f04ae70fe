"""A replica of Ray Serve: one engine, whose jobs share passes."""

from __future__ import annotations

import pickle
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

from ray import serve

from latentry import (
    Drawn,
    Ended,
    GenerationRequest,
    GenerationResult,
    IncompatibleError,
    Job,
    JobEvent,
    LatentryError,
    NonFiniteError,
    Recipe,
    Resident,
)
from latentry.batches import BatchSettings

Wish = Literal["keep", "skip", "pause"]
"""What is to become of a job; see ``Job``."""


@dataclass(frozen=True)
class Taken:
    """A replica has a job.

    Attributes:
        replica: its name.
    """

    replica: str


@dataclass(frozen=True)
class Whole:
    """All pictures of a job that is done; of a resumed one also those that were finished before."""

    result: GenerationResult


@dataclass(frozen=True)
class Saved:
    """The state of a job that is paused."""

    state: bytes


Told = Taken | Whole | Saved | JobEvent
"""What a replica tells of a job."""


@dataclass(frozen=True)
class Texts:
    """``GenerationResult.parameters`` that can be sent; ``texts`` are by the index of the picture."""

    texts: Mapping[int, str]

    def __call__(self, recipe: Recipe) -> str:
        """The text of a picture of the result."""
        return self.texts[recipe.index]


class Replica:
    """Draws jobs, and tells what becomes of them.

    Args:
        settings: see ``BatchSettings``.
    """

    def __init__(self, settings: BatchSettings) -> None:
        self._engine = settings.engine()
        self._jobs: dict[str, Job] = {}

    async def model(self, name: str) -> str:
        """Notes that requests for a model are best sent here; the engine itself loads it, and drops it again."""
        return name

    async def draw(
        self, name: str, request: GenerationRequest, until: float | None, given: Mapping[str, Any]
    ) -> AsyncIterator[Told]:
        """Draws a request.

        Args:
            name: of the job.
            request: what is wanted.
            until: its deadline, in seconds since 1970.
            given: further arguments of ``Engine.submit``.
        """
        await self.model(serve.get_multiplexed_model_id())
        deadline = None if until is None else until - time.time()
        async for told in self._followed(name, self._engine.submit(request, deadline=deadline, **given)):
            yield told

    async def resume(self, name: str, state: bytes, previews: int) -> AsyncIterator[Told]:
        """Continues a paused job; see ``Engine.resume``."""
        await self.model(serve.get_multiplexed_model_id())
        async for told in self._followed(name, self._engine.resume(state, previews=previews)):
            yield told

    async def _followed(self, name: str, job: Job) -> AsyncIterator[Told]:
        self._jobs[name] = job
        try:
            yield Taken(serve.get_replica_context().replica_id.unique_id)
            async for event in job.aevents():
                if isinstance(event, Ended) and event.state == "done":
                    yield Whole(_sendable_result(job.result(0)))
                if isinstance(event, Ended) and event.state == "paused":
                    yield Saved(job.pause(0))
                yield _sendable(event)
        finally:
            del self._jobs[name]
            job.cancel()  # nobody follows it any more

    async def wish(self, name: str, wish: Wish) -> bool:
        """Has a job of this replica do so; False where it has none of this name."""
        if (job := self._jobs.get(name)) is None:
            return False
        if wish == "keep":
            job.cancel(keep=True)
        elif wish == "skip":
            job.skip()
        else:
            with suppress(TimeoutError, IncompatibleError):  # its events tell what comes of it
                job.pause(0)
        return True

    async def loaded(self) -> tuple[Resident, ...]:
        """The models in memory."""
        return self._engine.loaded()

    async def unload(self, name: str) -> int | None:
        """Drops a model, and returns its bytes; None where it is not in memory."""
        return self._engine.unload(name) if any(each.name == name for each in self._engine.loaded()) else None


def multiplexed(models: int) -> type[Replica]:
    """A replica of which Ray Serve knows which models it drew with last, so that requests go where theirs is.

    Args:
        models: how many; -1 for all.
    """

    class Multiplexed(Replica):
        @serve.multiplexed(max_num_models_per_replica=models)  # type: ignore[untyped-decorator, unused-ignore]
        async def model(self, name: str) -> str:
            return name

    return Multiplexed


def _sendable(event: JobEvent) -> JobEvent:
    if isinstance(event, Drawn):
        return Drawn(_sendable_result(event.result))
    if isinstance(event, Ended) and event.error is not None:
        return Ended(event.state, _sendable_error(event.error))
    return event


def _sendable_result(result: GenerationResult) -> GenerationResult:
    texts = {recipe.index: result.parameters(recipe) for recipe in result.recipes}
    return replace(result, loaded=None, parameters=Texts(texts))


def _sendable_error(error: BaseException) -> BaseException:
    if isinstance(error, NonFiniteError) and error.finished is not None:
        error.finished = _sendable_result(error.finished)
    if isinstance(error, LatentryError):
        error.__cause__ = error.__context__ = error.__traceback__ = None
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # of a plugin's own kind, which may do anything
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
