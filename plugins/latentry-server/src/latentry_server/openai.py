"""The images interface of OpenAI: generations, edits, models; pictures in base64, and streams of partial pictures."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Request, Response, UploadFile
from fastapi.responses import JSONResponse
from PIL import Image, ImageChops
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from latentry import GenerationRequest, LatentryError, OptionError
from latentry_server.errors import Missing, option_error
from latentry_server.pictures import read_picture, to_base64
from latentry_server.record import Record
from latentry_server.service import Service, Wanted
from latentry_server.waiting import KEEP_ALIVE, drawn_for, event_line, event_stream

SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
FURTHER = re.compile(r"latentry\[(\w+)\]")
"""How forms name the members of an object."""
SUFFIX = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
NO_TOKENS = {
    "input_tokens": 0,
    "output_tokens": 0,
    "total_tokens": 0,
    "input_tokens_details": {"text_tokens": 0, "image_tokens": 0},
}
"""What clients expect to be charged for."""
Operation = Literal["image_generation", "image_edit"]


class Asked(BaseModel):
    """What both ways of asking have in common. Fields of that interface which cannot be honoured are refused."""

    model_config = ConfigDict(extra="forbid")

    prompt: str = Field(max_length=100_000)
    model: str | None = None
    n: int | None = Field(default=1, ge=1, le=10)
    size: str | None = Field(default="auto", description="auto, or WIDTHxHEIGHT")
    response_format: Literal["b64_json"] | None = "b64_json"
    output_format: Literal["png", "jpeg", "webp"] | None = "png"
    quality: Literal["auto", "standard", "hd", "low", "medium", "high", "xhigh", "max"] | None = Field(
        default="auto", description="Has no effect here."
    )
    background: Literal["auto", "opaque"] | None = "auto"
    moderation: Literal["auto", "low"] | None = Field(default=None, description="Has no effect here.")
    style: Literal["vivid", "natural"] | None = Field(default=None, description="Has no effect here.")
    input_fidelity: Literal["low", "high"] | None = Field(default=None, description="Of edits: strength 0.8 or 0.5.")
    stream: bool | None = False
    partial_images: int | None = Field(default=0, ge=0, le=3)
    user: str | None = None
    safety_identifier: str | None = None
    latentry: dict[str, Any] = Field(
        default_factory=dict, description="Further fields of a request, e.g. scheduler, steps, seed and guidance."
    )

    def request(self, **more: Any) -> GenerationRequest:
        """The request.

        Raises:
            OptionError: the size or a further field cannot be what it is.
        """
        fields: dict[str, Any] = {"prompt": self.prompt, "model": self.model, "count": self.n or 1, **more}
        if self.size not in (None, "auto"):
            if (match := SIZE.fullmatch(self.size or "")) is None:
                raise OptionError(f"The size cannot be {self.size!r}.", remedy="Give auto or 512x512.", field="size")
            fields |= {"width": int(match[1]), "height": int(match[2])}
        try:
            with self.naming_size():
                return _request({**fields, **self.latentry})
        except TypeError as error:
            raise OptionError("The name of an extra field is not valid.", why=str(error), field="latentry") from error

    @contextmanager
    def naming_size(self) -> Iterator[None]:
        """An error inside about the width or the height names the field that they came from."""
        try:
            yield
        except LatentryError as error:
            if error.field in {"width", "height"} - self.latentry.keys():
                error.what = error.what.replace(f"{error.field}: ", "size: ", 1)
                error.field = "size"
            raise


def _request(fields: dict[str, Any]) -> GenerationRequest:
    try:
        return GenerationRequest(**fields)
    except ValidationError as error:
        raise option_error(error) from error


def openai_router(service: Service) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/v1", tags=["OpenAI"])

    @router.get("/models")
    async def models() -> dict[str, Any]:
        """The models."""
        offered = await asyncio.to_thread(service.shelf.models)
        return {"object": "list", "data": [_model(name) for name in offered]}

    @router.get("/models/{name:path}")
    async def model(name: str) -> dict[str, Any]:
        """One model."""
        if name not in await asyncio.to_thread(service.shelf.models):
            raise Missing("There is no such model.")
        return _model(name)

    @router.post("/images/generations")
    async def generations(body: Asked, client: Request) -> Response:
        """Draws pictures."""
        return await _answer(service, client, body, Wanted(body.request(), previews=_previews(body)))

    @router.post("/images/edits")
    async def edits(
        client: Request,
        prompt: Annotated[str, Form()],
        image: Annotated[list[UploadFile] | None, File()] = None,
        images: Annotated[list[UploadFile] | None, File(alias="image[]")] = None,
        mask: Annotated[UploadFile | None, File()] = None,
    ) -> Response:
        """Draws from a picture: where its mask is transparent, or all of it."""
        form = await client.form()
        texts = {name: text for name, text in form.items() if isinstance(text, str)}
        further = {match[1]: texts.pop(name) for name in tuple(texts) if (match := FURTHER.fullmatch(name))}
        try:
            body = Asked.model_validate({**texts, "prompt": prompt, "latentry": further})
        except ValidationError as error:
            raise option_error(error) from error
        given = [*(image or ()), *(images or ())]
        if len(given) != 1:
            raise OptionError(f"{len(given)} pictures were sent.", remedy="Send one.", field="image")
        start = await _read(service, given[0], "image")
        hole = None if mask is None else _transparent(await _read(service, mask, "mask"))
        strength = {None: None if hole else 0.8, "low": 0.8, "high": 0.5}[body.input_fidelity]
        wanted = Wanted(body.request(strength=strength), start, hole, previews=_previews(body))
        return await _answer(service, client, body, wanted, "image_edit")

    return router


async def _answer(
    service: Service, client: Request, body: Asked, wanted: Wanted, operation: Operation = "image_generation"
) -> Response:
    with body.naming_size():
        record = await service.submit(wanted, "openai")
        if body.stream:
            return event_stream(_events(record, body, operation), record)
        await drawn_for(record, client)
    suffix = SUFFIX[body.output_format or "png"]
    files = [await asyncio.to_thread(one.encoded, suffix) for _, one in sorted(record.pictures.items())]
    about = {"output_format": body.output_format or "png", "size": _size(record), "usage": NO_TOKENS}
    data = [{"b64_json": to_base64(file)} for file in files]
    return JSONResponse({"created": int(record.created), "background": "opaque", "data": data, **about})


async def _events(record: Record, body: Asked, operation: Operation) -> AsyncGenerator[str]:
    """At most so many partial pictures as were asked for, spread over the steps, and each finished one."""
    wanted, told = body.partial_images or 0, 0
    shown = {"background": "opaque", "quality": "auto", "output_format": body.output_format or "png"}
    async for event in record.events():
        if event is None:
            yield KEEP_ALIVE
        elif event["event"] == "preview" and told < wanted and record.progress >= (told + 1) / (wanted + 1):
            kind = f"{operation}.partial_image"
            data = {"b64_json": event["image"], "partial_image_index": told, **shown, "output_format": "jpeg"}
            yield event_line({"type": kind, "created_at": int(time.time()), "size": _size(record), **data}, kind)
            told += 1
        elif event["event"] == "drawn":
            for index in event["pictures"]:
                file = await asyncio.to_thread(record.pictures[index].encoded, SUFFIX[shown["output_format"]])
                kind = f"{operation}.completed"
                data = {"b64_json": to_base64(file), "usage": NO_TOKENS, **shown}
                yield event_line({"type": kind, "created_at": int(time.time()), "size": _size(record), **data}, kind)
        elif event["event"] == "ended" and event["error"] is not None and not record.pictures:
            error = event["error"]
            yield event_line({"type": "error", "error": {"message": error["what"], "code": error["code"]}}, "error")


def _previews(body: Asked) -> int:
    return 1 if body.stream and body.partial_images else 0


def _size(record: Record) -> str:
    for picture in record.pictures.values():
        return f"{picture.image.width}x{picture.image.height}"
    return f"{record.request.width}x{record.request.height}" if record.request.width else "auto"


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "latentry"}


async def _read(service: Service, upload: UploadFile, field: str) -> Image.Image:
    return await asyncio.to_thread(read_picture, await upload.read(), service.settings.policy, field)


def _transparent(mask: Image.Image) -> Image.Image:
    """White where a mask is transparent, which is where it is to be drawn; one without transparency is as it is."""
    if not mask.has_transparency_data:
        return mask
    return ImageChops.invert(mask.convert("RGBA").getchannel("A"))
