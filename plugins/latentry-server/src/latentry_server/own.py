"""The server's own interface, which has everything: jobs with events, pictures, recipes, schemas, the matrix."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import asdict
from io import BytesIO
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from latentry import (
    GenerationRequest,
    OptionError,
    Policy,
    compatible,
    option_schema,
    read_recipe,
    request_schema,
    schemas,
)
from latentry_server.errors import Missing
from latentry_server.pictures import Picture, from_base64, read_base64, to_base64
from latentry_server.record import Record
from latentry_server.service import Service, Wanted
from latentry_server.waiting import KEEP_ALIVE, event_line, event_stream

PREFIX = "/latentry/v1"
SUFFIXES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp", "avif": "image/avif"}
Text = Annotated[str, Field(max_length=64 * 2**20)]


class JobBody(BaseModel):
    """A job."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    request: GenerationRequest
    init_image: Text | None = Field(default=None, description="The picture to start from, base64.")
    mask: Text | None = Field(default=None, description="Its mask, base64; white parts are redrawn.")
    priority: float = Field(default=0.0, ge=-10.0, le=10.0, description="Higher ones are taken first.")
    deadline: float | None = Field(default=None, gt=0.0, le=86_400.0, description="In seconds from now.")
    previews: int | None = Field(default=None, ge=0, le=1000, description="A preview after every so many steps.")


class PictureBody(BaseModel):
    """A picture."""

    model_config = ConfigDict(extra="forbid")

    image: Text = Field(description="The file, base64.")


class StateBody(BaseModel):
    """A paused job."""

    model_config = ConfigDict(extra="forbid")

    state: Text = Field(description="What pausing returned.")


def own_router(service: Service) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix=PREFIX, tags=["latentry"])
    _request_routes(router, service)
    _job_routes(router, service)
    _picture_routes(router, service)
    _data_routes(router, service)
    return router


def _request_routes(router: APIRouter, service: Service) -> None:
    """What takes a request: to draw it, or to say what it comes to."""
    policy = service.settings.policy

    def wanted(body: JobBody) -> Wanted:
        image = None if body.init_image is None else read_base64(body.init_image, policy, "init_image")
        mask = None if body.mask is None else read_base64(body.mask, policy, "mask")
        return Wanted(body.request, image, mask, body.priority, body.deadline, body.previews)

    @router.post("/jobs", status_code=202)
    async def submit(body: JobBody) -> dict[str, Any]:
        """Submits a job. What cannot be drawn is refused at once."""
        return (await service.submit(await asyncio.to_thread(wanted, body), "latentry")).summary()

    @router.post("/prepare")
    async def prepare(body: JobBody) -> dict[str, Any]:
        """What a request comes to, with every choice made; nothing is drawn."""
        given = await asyncio.to_thread(wanted, body)
        request = service.with_model(given.request)
        setup = await asyncio.to_thread(service.engine.prepare, request, init_image=given.init_image, mask=given.mask)
        named = await asyncio.to_thread(service.shelf.named, setup.request)
        return {
            "request": named.model_dump(mode="json"),
            "evaluations": setup.plan.evaluations,
            "notes": list(setup.notes),
        }


def _job_routes(router: APIRouter, service: Service) -> None:
    """Jobs that were submitted."""

    @router.post("/jobs/resume", status_code=202)
    async def resume(body: StateBody) -> dict[str, Any]:
        """Continues a paused job."""
        return (await service.resume(from_base64(body.state, "state"), "latentry")).summary()

    @router.get("/jobs")
    async def jobs() -> list[dict[str, Any]]:
        """The jobs that are kept, the newest first."""
        return [record.summary() for record in reversed(service.records)]

    @router.get("/jobs/{job}")
    async def state(job: str) -> dict[str, Any]:
        """A job's state."""
        return service.record(job).summary()

    @router.delete("/jobs/{job}")
    async def cancel(job: str, keep: bool = False, forget: bool = True) -> dict[str, Any]:
        """Cancels a job, or ends it with the pictures that are finished; forgets a finished one, if it may."""
        record = service.record(job)
        if record.job is not None:
            record.job.cancel(keep=keep)
        elif forget:
            service.forget(job)
        return record.summary()

    @router.post("/jobs/{job}/skip")
    async def skip(job: str) -> dict[str, Any]:
        """Leaves out the pictures that are being drawn, and goes on with the next."""
        record = service.record(job)
        if record.job is not None:
            record.job.skip()
        return record.summary()

    @router.post("/jobs/{job}/pause")
    async def pause(job: str) -> dict[str, Any]:
        """Ends a job with its state, from which it can be resumed to the same bits, here or elsewhere."""
        record = service.record(job)
        if record.job is None:
            raise OptionError(f"The job is {record.state}.", remedy="Pause a job that is queued or running.")
        state = await asyncio.to_thread(record.job.pause, 600.0)
        return {"id": job, "state": to_base64(state)}

    @router.get("/jobs/{job}/events", response_class=StreamingResponse)
    async def events(job: str) -> StreamingResponse:
        """Server-sent events, from the job's first to its last: steps, previews, finished pictures."""
        return event_stream(_lines(service.record(job)))


def _picture_routes(router: APIRouter, service: Service) -> None:
    """Finished pictures, and what is written in any."""

    @router.get("/jobs/{job}/images/{index}.{suffix}", response_class=Response)
    async def image(job: str, index: int, suffix: str) -> Response:
        """A finished picture as png, jpg, webp or avif, with its recipe in it."""
        picture = _picture(service.record(job), index)
        if (media := SUFFIXES.get(suffix)) is None:
            raise Missing(f"Pictures are {', '.join(SUFFIXES)}.")
        data = await asyncio.to_thread(picture.encoded, f".{suffix}")
        return Response(data, media_type=media, headers={"Cache-Control": "private, max-age=3600"})

    @router.get("/jobs/{job}/recipes/{index}")
    async def recipe(job: str, index: int) -> dict[str, Any]:
        """The recipe of a finished picture."""
        data: dict[str, Any] = _picture(service.record(job), index).recipe.model_dump(mode="json")
        return data

    @router.post("/recipe")
    async def read(body: PictureBody) -> dict[str, Any]:
        """The recipe in a picture."""
        return await asyncio.to_thread(_recipe_in, body.image, service.settings.policy)


def _data_routes(router: APIRouter, service: Service) -> None:
    """What programs and the page are told about everything that is installed."""
    policy, made = service.settings.policy, dict[str, str]()

    @router.get("/models")
    async def models() -> dict[str, Any]:
        """The models, LoRAs and embeddings, and the models in memory."""
        offered = await asyncio.to_thread(service.shelf.models)
        loras = await asyncio.to_thread(service.shelf.loras)
        hidden = {"path", "kind"}
        return {
            "default": service.default_model,
            "models": [{k: v for k, v in asdict(one).items() if k not in hidden} for one in offered.values()],
            "loras": list(loras),
            "embeddings": list(await asyncio.to_thread(service.shelf.embeddings)),
            "loaded": [asdict(one) for one in await asyncio.to_thread(service.loaded)],
        }

    @router.delete("/models/{name:path}")
    async def unload(name: str) -> dict[str, Any]:
        """Drops a model from memory."""
        return {"name": name, "bytes": await asyncio.to_thread(service.unload, name)}

    @router.get("/schema")
    async def schema() -> Response:
        """JSON Schemas of requests and of all options."""
        if not made:
            made["all"] = await asyncio.to_thread(lambda: json.dumps(schemas(service.host)))
        return Response(made["all"], media_type="application/json")

    @router.get("/schema/request")
    async def schema_of_requests() -> dict[str, Any]:
        """The JSON Schema of requests."""
        return request_schema()

    @router.get("/schema/{kind}/{name}")
    async def schema_of(kind: str, name: str) -> dict[str, Any]:
        """The JSON Schema of one scheduler's options, or of another kind."""
        if kind not in ("schedulers", "sigma_schedules", "guidance", "families", "attention_backends"):
            raise Missing("There is no such kind.")
        return await asyncio.to_thread(option_schema, service.host, kind, name)

    @router.get("/matrix")
    async def matrix(model: Annotated[str | None, Query(max_length=1000)] = None) -> list[dict[str, Any]]:
        """Which schedulers fit a model, task by task, the recommended first, with the reason where one does not."""
        path = service.shelf.path(model) or service.default_model
        if path is None:
            raise Missing("There is no model.")
        rows = await asyncio.to_thread(compatible, service.host, path, policy)
        return [asdict(row) | {"fits": row.fits} for row in rows]

    @router.get("/schedulers")
    async def schedulers() -> list[dict[str, str]]:
        """The schedulers, with one line about each."""
        return [{"name": name, "summary": service.host.schedulers[name].summary} for name in service.host.schedulers]


async def _lines(record: Record) -> AsyncGenerator[str]:
    async for event in record.events():
        yield KEEP_ALIVE if event is None else event_line(event)


def _picture(record: Record, index: int) -> Picture:
    if (found := record.pictures.get(index)) is None:
        raise Missing("There is no such picture, or it is not finished.")
    return found


def _recipe_in(text: str, policy: Policy) -> dict[str, Any]:
    found: dict[str, Any] = read_recipe(BytesIO(from_base64(text, "image")), policy).model_dump(mode="json")
    return found
