"""A job as clients see it: its state, its events as plain data, and its finished pictures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from latentry import (
    Drawn,
    Ended,
    GenerationRequest,
    GenerationResult,
    JobEvent,
    LatentryError,
    Previewed,
    Started,
    Stepped,
)
from latentry.batches import ServedJob
from latentry_server.errors import as_data
from latentry_server.models import Shelf
from latentry_server.pictures import Picture, preview_file, to_base64

Event = dict[str, Any]
QUIET = 10.0
"""Seconds without an event after which a stream shows that it is alive."""


class Record:
    """One job of the server. Lives in the event loop.

    Args:
        job: the engine's.
        api: the interface that it came through.
        shelf: knows what paths are called.

    Attributes:
        id: of the job.
        request: what was asked for.
        api: see above.
        state: ``queued``, ``running``, ``paused``, ``done``, ``failed`` or ``cancelled``.
        created, started, ended: times in seconds since 1970; None for what has not happened yet.
        step, steps: steps that are done, and of all batches.
        text: what is going on, for people.
        pictures: what is finished, by index.
        preview: the newest preview by index, a JPEG file.
        notes: what the person who asked should know.
        error: why it failed.
        saved: the state of a paused job.
    """

    def __init__(self, job: ServedJob, api: str, shelf: Shelf) -> None:
        self._shelf = shelf
        self.id, self.request, self.api = job.id, shelf.named(job.request), api
        self.job: ServedJob | None = job
        self.state: str = "queued"
        self.created = time.time()
        self.started: float | None = None
        self.ended: float | None = None
        self.step, self.steps, self.text = 0, 0, "Waiting"
        self.pictures: dict[int, Picture] = {}
        self.preview: dict[int, bytes] = {}
        self.notes: tuple[str, ...] = ()
        self.error: BaseException | None = None
        self.saved: bytes | None = None
        self._log: list[Event] = [{"event": "queued"}]
        self._newest: dict[int, int] = {}
        self._changed = asyncio.Condition()

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.ended is None

    @property
    def progress(self) -> float:
        """From 0 to 1."""
        return 1.0 if not self.live else self.step / self.steps if self.steps else 0.0

    def summary(self) -> dict[str, Any]:
        """Everything but the pictures."""
        request: GenerationRequest = self.request
        return {
            "id": self.id,
            "api": self.api,
            "state": self.state,
            "created": self.created,
            "started": self.started,
            "ended": self.ended,
            "step": self.step,
            "steps": self.steps,
            "text": self.text,
            "request": request.model_dump(mode="json", exclude_defaults=True),
            "pictures": sorted(self.pictures),
            "previews": sorted(self.preview),
            "notes": list(self.notes),
            "error": None if self.error is None else self._shelf.without_paths(as_data(self.error)),
        }

    async def follow(self) -> None:
        """Takes the engine's events until the last one."""
        assert self.job is not None
        async for event in self.job.aevents():
            plain = await asyncio.to_thread(self._take, event)
            if isinstance(event, Ended):
                self.state, self.error, self.ended = event.state, event.error, time.time()
                self.job, self.preview = None, {}
            if plain is not None:
                async with self._changed:
                    self._append(plain)
                    self._changed.notify_all()

    def _take(self, event: JobEvent) -> Event | None:
        """The event as plain data; pictures are encoded here, in a thread."""
        match event:
            case Started():
                self.state, self.started = "running", time.time()
                return {"event": "started"}
            case Stepped():
                self.step, self.steps, self.text = event.event.done, event.event.total, event.event.text
                now = {"step": self.step, "steps": self.steps, "text": self.text}
                return {"event": "step", "stage": event.event.stage, **now}
            case Previewed():
                self.preview[event.index] = preview_file(event.image)
                return {"event": "preview", "index": event.index}
            case Drawn():
                self._keep(event.result)
                return {"event": "drawn", "pictures": [recipe.index for recipe in event.result.recipes]}
            case Ended():
                if event.state == "done" and self.job is not None:
                    self._keep(self.job.result(0))  # of a resumed job also what was finished before
                error = event.error if isinstance(event.error, LatentryError) else None
                told = None if error is None else self._shelf.without_paths(as_data(error))
                return {"event": "ended", "state": event.state, "error": told}
        return None

    def _keep(self, result: GenerationResult) -> None:
        for image, own in zip(result.images, result.recipes, strict=True):
            if own.index in self.pictures:
                continue
            recipe = self._shelf.shown(own)
            parameters = result.parameters(recipe)
            data = recipe.embed(image, parameters=parameters)
            self.pictures[recipe.index] = Picture(recipe.index, image, recipe, parameters, data)
        self.notes = tuple(dict.fromkeys((*self.notes, *result.notes)))

    def _append(self, event: Event) -> None:
        if event["event"] == "preview":
            self._newest[event["index"]] = len(self._log)
        self._log.append(event)

    async def events(self) -> AsyncIterator[Event | None]:
        """All events from the first on; None where nothing happened for a while. Only the newest previews are told."""
        position = 0
        while True:
            async with self._changed:
                if position == len(self._log):
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._changed.wait(), QUIET)
                new = self._log[position:]
            for offset, event in enumerate(new, position):
                if event["event"] == "preview":
                    if self._newest[event["index"]] != offset or event["index"] not in self.preview:
                        continue
                    yield {**event, "image": to_base64(self.preview[event["index"]]), "type": "image/jpeg"}
                else:
                    yield event
                if event["event"] == "ended":
                    return
            position += len(new)
            if not new:
                yield None

    async def finished(self) -> None:
        """Waits for the end.

        Raises:
            LatentryError: why there is no picture.
        """
        async for _ in self.events():
            pass
        if self.error is not None and not self.pictures:
            raise self.error
