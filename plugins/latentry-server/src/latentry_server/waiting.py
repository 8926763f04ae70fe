"""Waiting for a job while its client may leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse

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


async def followed_by_owner(record: Record, lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """The lines of a stream; cancels the job where its reader leaves before the end."""
    try:
        async for line in lines:
            yield line
    finally:
        if record.job is not None:
            record.job.cancel()


def event_line(data: Mapping[str, Any], event: str | None = None) -> str:
    """A server-sent event."""
    head = "" if event is None else f"event: {event}\n"
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n"


KEEP_ALIVE = ": waiting\n\n"
"""A comment, so that nobody on the way takes the stream for dead."""


def event_stream(lines: AsyncIterator[str]) -> StreamingResponse:
    """Server-sent events."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(lines, media_type="text/event-stream", headers=headers)
