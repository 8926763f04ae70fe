"""Engines that are elsewhere: what a server asks of one, and the executor that has them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from PIL.Image import Image

from latentry._batch._work import BatchSettings
from latentry._discovery import PluginHost
from latentry._generate._kept._models import Resident
from latentry._jobs._events import JobEvent
from latentry._policy import Policy
from latentry._request._generation_request import GenerationRequest
from latentry._request._result import GenerationResult
from latentry._resolve._setup import Setup


class ServedJob(Protocol):
    """What a server asks of a ``Job``."""

    @property
    def id(self) -> str:
        """A name that no other job has."""
        ...

    @property
    def request(self) -> GenerationRequest:
        """What was asked for."""
        ...

    def result(self, timeout: float | None = None) -> GenerationResult:
        """See ``Job.result``; asked for after the last event."""
        ...

    def cancel(self, *, keep: bool = False) -> bool:
        """See ``Job.cancel``."""
        ...

    def skip(self) -> bool:
        """See ``Job.skip``."""
        ...

    def pause(self, timeout: float | None = None) -> bytes:
        """See ``Job.pause``."""
        ...

    def aevents(self) -> AsyncIterator[JobEvent]:
        """See ``Job.aevents``; one reader is enough."""
        ...


class ServedEngine(Protocol):
    """What a server asks of an ``Engine``."""

    @property
    def host(self) -> PluginHost:
        """What is installed."""
        ...

    @property
    def policy(self) -> Policy:
        """What requests may ask for."""
        ...

    def prepare(
        self, request: GenerationRequest, *, init_image: Image | None = None, mask: Image | None = None
    ) -> Setup:
        """See ``Engine.prepare``."""
        ...

    def submit(
        self,
        request: GenerationRequest,
        *,
        init_image: Image | None = None,
        mask: Image | None = None,
        priority: float = 0,
        deadline: float | None = None,
        previews: int = 0,
    ) -> ServedJob:
        """See ``Engine.submit``; called in an event loop, which it does not keep waiting."""
        ...

    def resume(self, state: bytes, *, previews: int = 0) -> ServedJob:
        """See ``Engine.resume``."""
        ...

    def loaded(self) -> tuple[Resident, ...]:
        """See ``Engine.loaded``; of several engines, the models of all of them."""
        ...

    def unload(self, name: str) -> int:
        """See ``Engine.unload``; of several engines, from all that have it."""
        ...


@runtime_checkable
class ServingExecutor(Protocol):
    """An executor that a server can draw with, too."""

    def served(self, settings: BatchSettings) -> AbstractContextManager[ServedEngine]:
        """Starts engines, and ends them at the end of the context.

        Raises:
            PluginError: what it needs is not installed.
        """
        ...
