"""A web service around an engine: ``uvicorn --app-dir examples service:app``. Needs fastapi and uvicorn.

``latentry serve`` has everything; this is what it stands on. What strangers ask for is held to a policy, a client that
leaves takes its job along, and pictures come as they are finished.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse

from latentry import Drawn, Ended, Engine, GenerationRequest, Job, LatentryError, PluginHost, Policy, Stepped


def service(engine: Engine) -> FastAPI:
    """The application."""
    app = FastAPI(title="Pictures")

    @app.exception_handler(LatentryError)
    async def refused(request: Request, error: LatentryError) -> JSONResponse:
        return JSONResponse({"code": error.code, "field": error.field, "message": str(error)}, status_code=422)

    @app.post("/draw")
    def draw(request: GenerationRequest) -> StreamingResponse:
        engine.prepare(request)  # what cannot be drawn is refused before anything is sent
        return StreamingResponse(told(engine.submit(request)), media_type="text/event-stream")

    return app


async def told(job: Job) -> AsyncIterator[str]:
    """A job's events for a browser; the job ends where nobody listens any more."""
    try:
        async for event in job.aevents():
            match event:
                case Stepped():
                    yield line({"step": event.event.done, "of": event.event.total})
                case Drawn():
                    for image, recipe in zip(event.result.images, event.result.recipes, strict=True):
                        yield line({"picture": base64.b64encode(recipe.embed(image)).decode()})
                case Ended():
                    yield line({"state": event.state})
    finally:
        job.cancel()


def line(data: dict[str, object]) -> str:
    """A server-sent event."""
    return f"data: {json.dumps(data)}\n\n"


app = service(Engine(PluginHost(), policy=Policy.network()))
