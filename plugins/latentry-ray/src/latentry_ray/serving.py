"""What a server draws with: replicas on Ray Serve. Replicas, routing and transport are Ray's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from threading import Lock, Thread
from typing import Any
from uuid import uuid4

import ray
from PIL.Image import Image
from ray import serve

from latentry import (
    Ended,
    GenerationRequest,
    GenerationResult,
    IncompatibleError,
    JobCancelled,
    JobEvent,
    PluginHost,
    Policy,
    Resident,
    ResourceError,
    Setup,
    UnknownName,
)
from latentry.batches import BatchSettings, saved_request
from latentry_ray.cluster import connected, engines, resources
from latentry_ray.replica import Saved, Taken, Told, Whole, Wish, multiplexed

CONTROLLER = {"name": "SERVE_CONTROLLER_ACTOR", "namespace": "serve"}
"""Ray Serve's own actor, which is there where it runs; ``serve.status`` does not tell an idle one from none."""
TOGETHER = 8
"""Jobs that a replica has in hand, whose evaluations share passes; where one has as many, another is asked."""
CONTROL = 30.0
"""Seconds for what all replicas are asked for."""
OF_THE_MACHINE = ("device", "dtype", "dtypes", "attention", "attention_options")
"""Fields of a request that the machine that draws it judges."""


@contextmanager
def replicas(settings: BatchSettings) -> Iterator[RemoteEngine]:
    """Starts replicas on a cluster, and ends them; other applications of the cluster go on.

    Args:
        settings: see ``BatchSettings``; ``workers`` are the replicas, one for each GPU or machine where it is None.
    """
    with connected():
        own = CONTROLLER not in ray.util.list_named_actors(all_namespaces=True)
        serve.start(proxy_location="Disabled")  # the server is the proxy
        name = f"latentry-{uuid4().hex}"  # a second server of the name would replace these replicas
        kept = 1 if settings.budget is None else -1  # as many as the engine keeps
        deployment = serve.deployment(
            name="replica",
            num_replicas=settings.workers or engines(),
            max_ongoing_requests=TOGETHER,
            ray_actor_options=resources(),
        )(multiplexed(kept))
        try:
            handle = serve.run(deployment.bind(settings), name=name, route_prefix=None)
            yield RemoteEngine(settings, handle)
        finally:
            serve.delete(name)
            if own and not serve.status().applications:  # others may have come since
                serve.shutdown()


class RemoteEngine:
    """See ``latentry.batches.ServedEngine``: refuses here what cannot be drawn, and has the rest drawn by replicas.

    Args:
        settings: of the replicas' engines; one here has the same, and never loads a model.
        handle: of the deployment.
    """

    def __init__(self, settings: BatchSettings, handle: Any) -> None:
        self._here, self._handle = settings.engine(), handle

    @property
    def host(self) -> PluginHost:
        """The plugins of this process; those of the replicas have to be the same."""
        return self._here.host

    @property
    def policy(self) -> Policy:
        """What requests may ask for."""
        return self._here.policy

    def prepare(
        self, request: GenerationRequest, *, init_image: Image | None = None, mask: Image | None = None
    ) -> Setup:
        """See ``Engine.prepare``; what depends on the machine is left to the replica."""
        usual = GenerationRequest(prompt=request.prompt)
        left_open = request.model_copy(update={name: getattr(usual, name) for name in OF_THE_MACHINE})
        return self._here.prepare(left_open, init_image=init_image, mask=mask)

    def submit(
        self,
        request: GenerationRequest,
        *,
        init_image: Image | None = None,
        mask: Image | None = None,
        priority: float = 0,
        deadline: float | None = None,
        previews: int = 0,
    ) -> RemoteJob:
        """See ``Engine.submit``. Priorities order what a replica has in hand."""
        name, until = uuid4().hex, None if deadline is None else time.time() + deadline
        given = {"init_image": init_image, "mask": mask, "priority": priority, "previews": previews}
        return RemoteJob(name, request, self._on(request).draw.remote(name, request, until, given), self._handle)

    def resume(self, state: bytes, *, previews: int = 0) -> RemoteJob:
        """See ``Engine.resume``."""
        name, request = uuid4().hex, saved_request(state)
        return RemoteJob(name, request, self._on(request).resume.remote(name, state, previews), self._handle)

    def loaded(self) -> tuple[Resident, ...]:
        """The models in the memory of all replicas."""
        found = self._handle.broadcast("loaded").results(timeout_s=CONTROL)
        return tuple(resident for residents in found for resident in residents)

    def unload(self, name: str) -> int:
        """Drops a model from the memory of all replicas, and returns the bytes of its weights.

        Raises:
            UnknownName: none has it.
        """
        found = self._handle.broadcast("unload", name).results(timeout_s=CONTROL)
        if all(size is None for size in found):
            raise UnknownName(f"No model {name!r} is in memory.")
        return sum(size or 0 for size in found)

    def _on(self, request: GenerationRequest) -> Any:
        """The replicas, those first that have the model of a request."""
        return self._handle.options(stream=True, multiplexed_model_id=request.model or "default")


class RemoteJob:
    """See ``latentry.batches.ServedJob``: a job of a replica. It goes on while someone reads its events.

    Args:
        name: that no other job has.
        request: what was asked for.
        stream: what the replica tells.
        handle: of the deployment.

    Attributes:
        replica: the name of the replica that draws it; empty before it does.
    """

    def __init__(self, name: str, request: GenerationRequest, stream: Any, handle: Any) -> None:
        self.id, self.request, self.replica = name, request, ""
        self._stream, self._handle, self._lock = stream, handle, Lock()
        self._wishes: list[Wish] = []
        self._dropped = self._ended = False
        self._result: GenerationResult | None = None
        self._last: Ended | None = None
        self._saved: Future[bytes] = Future()

    def result(self, timeout: float | None = None) -> GenerationResult:
        """The pictures of a job that is done.

        Raises:
            JobCancelled: it is not.
        """
        if self._result is None:
            raise JobCancelled("The job has no result.")
        return self._result

    def cancel(self, *, keep: bool = False) -> bool:
        """See ``Job.cancel``."""
        if keep:
            return self._wish("keep")
        if self._ended:
            return False
        self._dropped = True
        self._stream.cancel()
        return True

    def skip(self) -> bool:
        """See ``Job.skip``."""
        return self._wish("skip")

    def pause(self, timeout: float | None = None) -> bytes:
        """See ``Job.pause``.

        Raises:
            TimeoutError: it is not left yet.
            IncompatibleError: it has ended, or cannot be saved.
        """
        self._wish("pause")
        try:
            return self._saved.result(timeout)
        except CancelledError:
            error, state = (None, "ended") if self._last is None else (self._last.error, self._last.state)
            if isinstance(error, IncompatibleError):
                raise error from None
            raise IncompatibleError(
                f"The job cannot be paused: it is {state}.", remedy="Pause a job that is queued or running."
            ) from None

    async def aevents(self) -> AsyncIterator[JobEvent]:
        """See ``Job.aevents``, for one reader."""
        try:
            async for told in self._stream:
                if (event := self._taken(told)) is not None:
                    yield event
                if isinstance(told, Ended):
                    return
            raise ResourceError("The replica ended without finishing the job.", remedy="Submit it again.")
        except asyncio.CancelledError:
            if not self._dropped:
                raise
            self._last = Ended("cancelled", JobCancelled("The job was cancelled."))
            yield self._last
        except Exception as error:  # Ray's own are of many kinds
            self._last = self._failed(error)
            yield self._last
        finally:
            self._ended = True
            self._saved.cancel()

    def _failed(self, error: Exception) -> Ended:
        if self._dropped:
            return Ended("cancelled", JobCancelled("The job was cancelled."))
        if isinstance(error, ray.exceptions.RayTaskError):
            return Ended("failed", error.cause)
        if isinstance(error, ResourceError):
            return Ended("failed", error)
        lost = ResourceError("The replica that drew the job is gone.", why=str(error)[:500], remedy="Submit it again.")
        return Ended("failed", lost)

    def _taken(self, told: Told) -> JobEvent | None:
        """Keeps what is for this class."""
        match told:
            case Taken(replica):
                with self._lock:
                    self.replica = replica
                    wishes, self._wishes = self._wishes, []
                for wish in wishes:
                    self._ask(wish)
            case Whole(result):
                self._result = result
            case Saved(state):
                self._saved.set_result(state)
            case _:
                self._last = told if isinstance(told, Ended) else None
                return told
        return None

    def _wish(self, wish: Wish) -> bool:
        """Tells the replica, as soon as there is one."""
        if self._ended:
            return False
        with self._lock:
            if not self.replica:
                self._wishes.append(wish)
                return True
        self._ask(wish)
        return True

    def _ask(self, wish: Wish) -> None:
        """All replicas are asked: Ray Serve chooses them, and a job is known to one."""
        asked = self._handle.broadcast("wish", self.id, wish)
        Thread(target=asked.results, kwargs={"timeout_s": CONTROL}, name="latentry-wish", daemon=True).start()
