"""Waiting for a job while its client may leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from latentry_server.record import Record

LOOK = 0.5
"""Seconds between looks whether the client is still there."""


async def drawn_for(record: Record, client: Request) -> None:
    """Waits for the end of a job; cancels it where the client leaves before.

    Raises:
        LatentryError: why there is no picture.
    """
    finished = asyncio.create_task(record.finished())
    try:
        while not (await asyncio.wait({finished}, timeout=LOOK))[0]:
            if await client.is_disconnected() and record.job is not None:
                record.job.cancel()
        await finished
    finally:
        finished.cancel()


def event_line(data: Mapping[str, Any], event: str | None = None) -> str:
    """A server-sent event."""
    head = "" if event is None else f"event: {event}\n"
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n"


KEEP_ALIVE = ": waiting\n\n"
"""A comment, so that nobody on the way takes the stream for dead."""


def event_stream(lines: AsyncGenerator[str], owned: Record | None = None) -> StreamingResponse:
    """Server-sent events.

    Args:
        lines: of the stream; closed with it.
        owned: a job that is cancelled where the reader leaves before the end.
    """
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return _Stream(lines, owned, headers)


class _Stream(StreamingResponse):
    def __init__(self, lines: AsyncGenerator[str], owned: Record | None, headers: Mapping[str, str]) -> None:
        super().__init__(lines, media_type="text/event-stream", headers=headers)
        self._lines, self._owned = lines, owned

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # not around the lines: those are not told of a reader that leaves while a line is being sent
        async with aclosing(self._lines):
            try:
                await super().__call__(scope, receive, send)
            finally:
                if self._owned is not None and self._owned.job is not None:
                    self._owned.job.cancel()
