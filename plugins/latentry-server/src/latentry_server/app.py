"""Puts a server together."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Response
from fastapi.middleware.cors import CORSMiddleware

from latentry.batches import ServedEngine
from latentry_server.automatic1111 import automatic1111_router
from latentry_server.errors import Missing, handle_errors
from latentry_server.guards import Guards
from latentry_server.openai import openai_router
from latentry_server.own import own_router
from latentry_server.service import Service
from latentry_server.settings import Settings

MEDIA = {"html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}


def create_app(engine: ServedEngine, settings: Settings | None = None) -> FastAPI:
    """An ASGI application around an engine.

    Args:
        engine: draws, an ``Engine`` or what an executor has in its place; its policy should be that of the settings.
        settings: what is allowed and kept.
    """
    settings = settings or Settings(policy=engine.policy)
    service = Service(engine, settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(title="Latentry", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.service = service
    handle_errors(app, service.shelf.without_paths)
    for router in (own_router(service), openai_router(service), automatic1111_router(service)):
        app.include_router(router)
    _status_routes(app, service)
    _page_routes(app)
    if settings.origins:
        app.add_middleware(CORSMiddleware, allow_origins=settings.origins, allow_methods=["*"], allow_headers=["*"])
    app.add_middleware(Guards, keys=settings.keys, body=settings.body, metrics=service.metrics)
    return app


def _status_routes(app: FastAPI, service: Service) -> None:
    @app.get("/health", tags=["status"])
    async def health() -> dict[str, Any]:
        """Whether the server answers, and how much it has to do."""
        live = [record for record in service.records if record.live]
        running = sum(record.state == "running" for record in live)
        return {"status": "ok", "running": running, "queued": len(live) - running, "queue": service.settings.queue}

    @app.get("/metrics", tags=["status"], response_class=Response)
    async def metrics() -> Response:
        """Counters for Prometheus."""
        sizes = Counter[str]()
        for resident in await asyncio.to_thread(service.loaded):
            sizes[resident.name] += resident.bytes
        service.metrics.memory.clear()
        for name, size in sizes.items():
            service.metrics.memory.labels(name).set(size)
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _page_routes(app: FastAPI) -> None:
    page = files("latentry_server") / "page"
    names = {entry.name for entry in page.iterdir() if entry.name.rpartition(".")[2] in MEDIA}

    def file(name: str) -> Response:
        media = MEDIA[name.rpartition(".")[2]]
        return Response((page / name).read_bytes(), media_type=media, headers={"Cache-Control": "no-cache"})

    @app.get("/", include_in_schema=False)
    async def index() -> Response:
        return file("index.html")

    @app.get("/page/{name}", include_in_schema=False)
    async def part(name: str) -> Response:
        if name not in names:
            raise Missing("There is no such file.")
        return file(name)
