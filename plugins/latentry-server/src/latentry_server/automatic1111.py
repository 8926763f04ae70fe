"""The interface of AUTOMATIC1111's web UI, as far as it has something to say here."""

from __future__ import annotations

import asyncio
import json
import math
import os
import time
from contextlib import suppress
from dataclasses import asdict
from io import BytesIO
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, ConfigDict, Field
from safetensors import safe_open

from latentry import JobCancelled, LatentryError, OptionError, PeerName, read_texts
from latentry_server.errors import Missing
from latentry_server.pictures import from_base64, to_base64
from latentry_server.record import Record
from latentry_server.service import Service, Wanted
from latentry_server.waiting import drawn_for
from latentry_server.webui_request import Drawing, FromPicture, FromText, model_name, to_wanted

API = "automatic1111"
PEER = "AUTOMATIC1111"
NOTHING = (
    *("upscalers", "latent-upscale-modes", "hypernetworks", "face-restorers", "realesrgan-models", "prompt-styles"),
    *("artist-categories", "artists", "script-info", "sd-vae", "sd-modules"),
)
"""Lists that are empty here."""


class InfoBody(BaseModel):
    """A picture whose settings are asked for."""

    model_config = ConfigDict(extra="allow")

    image: str = Field(max_length=64 * 2**20)


class WebUI:
    """What the interface keeps between requests.

    Args:
        service: the engine and its jobs.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.model: str | None = None

    @property
    def checkpoint(self) -> str:
        """The model that is drawn with."""
        return self.model or self.service.default_model or ""

    @property
    def current(self) -> Record | None:
        """The oldest job of this interface that has not ended."""
        return next((record for record in self.service.records if record.live and record.api == API), None)

    async def draw(self, body: Drawing, client: Request) -> dict[str, Any]:
        """Draws, and answers with pictures and their settings."""
        wanted = await asyncio.to_thread(to_wanted, self.service, body, self.model)
        record = await self.service.submit(wanted, API)
        with suppress(JobCancelled):  # by ``interrupt``, whose client gets what there is
            await drawn_for(record, client)
        pictures = [picture for _, picture in sorted(record.pictures.items())]
        return {
            "images": [to_base64(picture.data) for picture in pictures],
            "parameters": body.model_dump(mode="json", exclude={"init_images", "mask"}, exclude_none=True),
            "info": json.dumps(self._info(body, record, wanted)),
        }

    def _info(self, body: Drawing, record: Record, wanted: Wanted) -> dict[str, Any]:
        pictures = [picture for _, picture in sorted(record.pictures.items())]
        request = pictures[0].recipe.request if pictures else record.request
        return {
            "prompt": body.prompt,
            "all_prompts": [body.prompt] * len(pictures),
            "negative_prompt": body.negative_prompt or "",
            "all_negative_prompts": [body.negative_prompt or ""] * len(pictures),
            "seed": request.seed,
            "all_seeds": [request.seed] * len(pictures),
            "width": request.width,
            "height": request.height,
            "sampler_name": request.scheduler,
            "cfg_scale": request.guidance,
            "steps": request.steps,
            "batch_size": request.batch,
            "sd_model_name": request.model,
            "denoising_strength": request.strength,
            "infotexts": [picture.parameters for picture in pictures],
            "job_timestamp": time.strftime("%Y%m%d%H%M%S", time.localtime(record.created)),
            "ignored": body.ignored,
            "skipped_embeddings": list(wanted.unfit),
        }

    def progress(self, *, skip_current_image: bool) -> dict[str, Any]:
        """How far the oldest job is."""
        record = self.current
        live = sum(each.live and each.api == API for each in self.service.records)
        step, steps = (0, 0) if record is None else (record.step, record.steps)
        preview = None if record is None or not record.preview else record.preview[min(record.preview)]
        spent = 0.0 if record is None or record.started is None else time.time() - record.started
        return {
            "progress": 0.0 if record is None else record.progress,
            "eta_relative": spent / step * (steps - step) if step else 0.0,
            "state": {
                "skipped": False,
                "interrupted": False,
                "stopping_generation": False,
                "job": "" if record is None else record.id,
                "job_count": live,
                "job_timestamp": "0"
                if record is None
                else time.strftime("%Y%m%d%H%M%S", time.localtime(record.created)),
                "job_no": 0,
                "sampling_step": step,
                "sampling_steps": steps,
            },
            "current_image": None if preview is None or skip_current_image else to_base64(preview),
            "textinfo": None if record is None else record.text,
        }

    async def switch(self, options: dict[str, Any]) -> None:
        """Changes the model that is drawn with.

        Raises:
            OptionError: another option, or a model that is not offered.
        """
        if unknown := sorted(set(options) - {"sd_model_checkpoint"}):
            raise OptionError(f"The option {unknown[0]!r} is not served here.", field=unknown[0])
        if (name := model_name(options.get("sd_model_checkpoint"))) is None:
            return
        if name not in await asyncio.to_thread(self.service.shelf.models):
            raise OptionError(
                f"There is no model {name!r}.", remedy="See /sdapi/v1/sd-models.", field="sd_model_checkpoint"
            )
        self.model = name


def automatic1111_router(service: Service) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/sdapi/v1", tags=[PEER])
    ui = WebUI(service)

    @router.post("/txt2img")
    async def txt2img(body: FromText, client: Request) -> dict[str, Any]:
        """Draws pictures."""
        return await ui.draw(body, client)

    @router.post("/img2img")
    async def img2img(body: FromPicture, client: Request) -> dict[str, Any]:
        """Draws from a picture."""
        return await ui.draw(body, client)

    @router.get("/progress")
    async def progress(skip_current_image: bool = False) -> dict[str, Any]:
        """How far the oldest job is, with its preview."""
        return ui.progress(skip_current_image=skip_current_image)

    @router.post("/interrupt")
    async def interrupt() -> dict[str, Any]:
        """Ends the oldest job; its client gets the pictures that are finished."""
        if (record := ui.current) is not None and record.job is not None:
            record.job.cancel(keep=True)
        return {}

    @router.post("/skip")
    async def skip() -> dict[str, Any]:
        """Goes on with the next pictures of the oldest job."""
        if (record := ui.current) is not None and record.job is not None:
            record.job.skip()
        return {}

    @router.post("/png-info")
    async def png_info(body: InfoBody) -> dict[str, Any]:
        """The settings in a picture."""
        return await asyncio.to_thread(_texts, service, body.image)

    @router.get("/options")
    async def options() -> dict[str, Any]:
        """The options that there are here."""
        return {
            "sd_model_checkpoint": ui.checkpoint,
            "sd_checkpoint_hash": "",
            "sd_vae": "Automatic",
            "CLIP_stop_at_last_layers": 1,
            "samples_format": "png",
        }

    @router.post("/options")
    async def set_options(options: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        """Switches to another model."""
        await ui.switch(options)
        return {}

    _model_routes(router, ui)
    _list_routes(router, service)
    return router


def _model_routes(router: APIRouter, ui: WebUI) -> None:
    service = ui.service

    @router.get("/sd-models")
    async def sd_models() -> list[dict[str, Any]]:
        """The models."""
        offered = await asyncio.to_thread(service.shelf.models)
        nothing = {"hash": None, "sha256": None, "config": None}
        return [{"title": name, "model_name": name, "filename": name, **nothing} for name in offered]

    @router.get("/loras")
    async def loras() -> list[dict[str, Any]]:
        """The LoRAs that prompts can name as ``<lora:name:1>``."""
        offered = await asyncio.to_thread(service.shelf.loras)
        return [{"name": name, "alias": name, "path": name, "metadata": {}} for name in offered]

    @router.get("/memory")
    async def memory() -> dict[str, Any]:
        """Memory of this process, and models in it."""
        return await asyncio.to_thread(_memory, service)

    @router.post("/unload-checkpoint")
    async def unload() -> dict[str, Any]:
        """Drops all models from memory."""
        await asyncio.to_thread(_unload_all, service)
        return {}

    @router.post("/reload-checkpoint")
    async def reload() -> dict[str, Any]:
        """Does nothing: models are loaded when they are drawn with."""
        return {}

    @router.post("/refresh-checkpoints")
    async def refresh() -> dict[str, Any]:
        """Does nothing: folders are looked at each time."""
        return {}


def _list_routes(router: APIRouter, service: Service) -> None:
    host = service.host

    @router.get("/samplers")
    async def samplers() -> list[dict[str, Any]]:
        """The schedulers, by that program's name where it has one."""
        return [_sampler(name, service) for name in host.schedulers]

    @router.get("/schedulers")
    async def schedulers() -> list[dict[str, Any]]:
        """The sigma schedules."""
        automatic = {"name": "automatic", "label": "Automatic"}
        named = [{"name": name, "label": name.replace("-", " ").title()} for name in host.sigma_schedules]
        nothing = {"aliases": None, "default_rho": -1.0, "need_inner_model": False}
        return [{**each, **nothing} for each in (automatic, *named)]

    @router.get("/scripts")
    async def scripts() -> dict[str, list[str]]:
        """There are none."""
        return {"txt2img": [], "img2img": []}

    @router.get("/embeddings")
    async def embeddings() -> dict[str, dict[str, Any]]:
        """The textual inversions that prompts can have as words."""
        offered = await asyncio.to_thread(service.shelf.embeddings)
        loaded = {name: await asyncio.to_thread(_embedding, one.path) for name, one in offered.items()}
        return {"loaded": loaded, "skipped": {}}

    @router.get("/cmd-flags")
    async def flags() -> dict[str, Any]:
        """There are none."""
        return {}

    @router.get("/{name}")
    async def nothing(name: str) -> list[Any]:
        """Lists of things that are not here are empty."""
        if name not in NOTHING:
            raise Missing("There is no such route.")
        return []

    @router.post("/{name}", include_in_schema=False)
    async def not_served(name: str) -> None:
        """Else the route above would answer that the method is wrong."""
        raise Missing("There is no such route.")


def _sampler(name: str, service: Service) -> dict[str, Any]:
    spec = service.host.schedulers[name]
    theirs: list[PeerName] = [peer for peer in spec.peers if peer.peer == PEER]
    label = theirs[0].name if theirs else name
    others = [other for peer in theirs for other in (peer.name, *peer.others)]
    aliases = dict.fromkeys((name, *spec.aliases, *others))
    aliases.pop(label, None)
    return {"name": label, "aliases": list(aliases), "options": {}}


def _texts(service: Service, image: str) -> dict[str, Any]:
    texts = read_texts(BytesIO(from_base64(image, "image")), service.settings.policy).by_name
    return {"info": texts.get("parameters", ""), "items": texts, "parameters": {}}


def _embedding(path: str) -> dict[str, Any]:
    """How many vectors a file has, and how many numbers each, as that program tells it."""
    with safe_open(path, framework="numpy") as file:
        (*vectors, shape) = file.get_slice(min(file.keys())).get_shape()
    about = {"step": None, "sd_checkpoint": None, "sd_checkpoint_name": None}
    return {**about, "shape": shape, "vectors": math.prod(vectors)}


def _unload_all(service: Service) -> None:
    for name in {resident.name for resident in service.loaded()}:
        with suppress(LatentryError):  # another request dropped it
            service.unload(name)


def _memory(service: Service) -> dict[str, Any]:
    import torch

    pages = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    total = pages * os.sysconf("SC_PHYS_PAGES") if pages else 0
    free = pages * os.sysconf("SC_AVPHYS_PAGES") if pages else 0
    cuda: dict[str, Any] = {"error": "unavailable"}
    if torch.cuda.is_available():
        free_there, total_there = torch.cuda.mem_get_info()
        cuda = {"system": {"free": free_there, "used": total_there - free_there, "total": total_there}}
    models = [asdict(resident) for resident in service.loaded()]
    return {"ram": {"free": free, "used": total - free, "total": total}, "cuda": cuda, "models": models}
