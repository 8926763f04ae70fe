"""The engine behind every interface, its jobs and its models."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass, replace

from PIL.Image import Image

from latentry import GenerationRequest, LatentryError, PluginHost, Resident
from latentry.batches import ServedEngine, ServedJob
from latentry_server.errors import Full, Missing
from latentry_server.logs import log
from latentry_server.metrics import Metrics
from latentry_server.models import Shelf
from latentry_server.record import Record
from latentry_server.settings import Settings


@dataclass(frozen=True)
class Wanted:
    """What a client wants drawn.

    Attributes:
        request: the request.
        init_image: the picture to start from, uploaded.
        mask: likewise.
        priority: see ``Engine.submit``.
        deadline: likewise, in seconds.
        previews: a preview after every so many steps; None for the server's setting.
        unfit: names of embeddings that the model cannot take, and that were left out.
    """

    request: GenerationRequest
    init_image: Image | None = None
    mask: Image | None = None
    priority: float = 0.0
    deadline: float | None = None
    previews: int | None = None
    unfit: tuple[str, ...] = ()


class Service:
    """Holds an engine, and a record of each job until ``Settings.history`` others are finished.

    Args:
        engine: draws.
        settings: of the server.
    """

    def __init__(self, engine: ServedEngine, settings: Settings) -> None:
        self.engine, self.settings, self.metrics = engine, settings, Metrics()
        self.shelf = Shelf(engine.host, settings.policy)
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._following: set[asyncio.Task[None]] = set()
        self._coming = 0

    @property
    def host(self) -> PluginHost:
        """What is installed."""
        return self.engine.host

    @property
    def records(self) -> tuple[Record, ...]:
        """All that are kept, the oldest first."""
        return tuple(self._records.values())

    def record(self, job: str) -> Record:
        """One of them.

        Raises:
            Missing: it is not kept.
        """
        if (found := self._records.get(job)) is None:
            raise Missing("There is no such job.")
        return found

    def forget(self, job: str) -> None:
        """Drops a finished job and its pictures."""
        self._records.pop(job, None)

    async def submit(self, wanted: Wanted, api: str) -> Record:
        """Has something drawn; what cannot be is refused at once.

        Args:
            wanted: by a client.
            api: the interface that it came through.

        Raises:
            Full: the queue is full.
            LatentryError: see ``Engine.prepare``.
        """
        self._check_room()
        self._coming += 1
        try:
            request = self.with_model(wanted.request)
            image, mask = wanted.init_image, wanted.mask
            await asyncio.to_thread(self.engine.prepare, request, init_image=image, mask=mask)
            job = self.engine.submit(
                request,
                init_image=image,
                mask=mask,
                priority=wanted.priority,
                deadline=wanted.deadline,
                previews=self.settings.previews if wanted.previews is None else wanted.previews,
            )
        finally:
            self._coming -= 1
        return self._keep(job, api)

    async def resume(self, state: bytes, api: str) -> Record:
        """Continues a paused job.

        Raises:
            Full: the queue is full.
            LatentryError: see ``Engine.resume``.
        """
        self._check_room()
        return self._keep(await asyncio.to_thread(self.engine.resume, state, previews=self.settings.previews), api)

    def _check_room(self) -> None:
        if self._coming + sum(record.live for record in self.records) >= self.settings.queue:
            raise Full

    def _keep(self, job: ServedJob, api: str) -> Record:
        record = self._records[job.id] = Record(job, api, self.shelf)
        task = asyncio.create_task(self._follow(record))
        self._following.add(task)
        task.add_done_callback(self._following.discard)
        return record

    @property
    def default_model(self) -> str | None:
        """What is drawn with where a request names nothing; None where nothing is installed."""
        if self.settings.model is not None:
            return self.settings.model
        names = self.host.checkpoints
        return next((name for name in sorted(names) if names[name].default), next(iter(sorted(names)), None))

    def with_model(self, request: GenerationRequest) -> GenerationRequest:
        """The request with paths for the names of what is offered."""
        name = request.model if request.model is not None else self.settings.model
        loras = tuple(lora.model_copy(update={"path": self.shelf.lora(lora.path)}) for lora in request.loras)
        embeddings = tuple(
            one.model_copy(update={"path": self.shelf.embedding(one.path)}) for one in request.embeddings
        )
        return request.model_copy(update={"model": self.shelf.path(name), "loras": loras, "embeddings": embeddings})

    def loaded(self) -> tuple[Resident, ...]:
        """The models in memory, by the names that clients know."""
        return tuple(replace(each, name=self.shelf.name(each.name)) for each in self.engine.loaded())

    def unload(self, name: str) -> int:
        """Drops a model from memory, and returns its bytes.

        Raises:
            UnknownName: no such model is in memory.
        """
        return self.engine.unload(self.shelf.path(name) or name)

    async def _follow(self, record: Record) -> None:
        self.metrics.live.inc()
        try:
            await record.follow()
        finally:
            self.metrics.live.dec()
            self._count(record)
            while len(self._records) > self.settings.history and (old := self._oldest_ended()) is not None:
                self.forget(old)

    def _count(self, record: Record) -> None:
        self.metrics.jobs.labels(record.api, record.state).inc()
        self.metrics.pictures.labels(record.api).inc(len(record.pictures))
        started, ended = record.started, record.ended
        if started is not None and ended is not None:
            self.metrics.waiting.observe(started - record.created)
            self.metrics.drawing.observe(ended - started)
        error = record.error
        fault = error is not None and not isinstance(error, LatentryError)
        log(
            "job ended",
            logging.ERROR if fault else logging.INFO,
            error=error if fault else None,
            job=record.id,
            api=record.api,
            state=record.state,
            pictures=len(record.pictures),
            code=getattr(error, "code", None),
            waited=None if started is None else round(started - record.created, 3),
            drew=None if started is None or ended is None else round(ended - started, 3),
        )

    def _oldest_ended(self) -> str | None:
        return next((record.id for record in self.records if not record.live), None)

    def close(self) -> None:
        """Ends all jobs."""
        for record in self.records:
            if record.job is not None:
                record.job.cancel()
