"""From a request of AUTOMATIC1111's interface to one of ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from PIL import Image, ImageOps
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from latentry import EmbeddingRequest, GenerationRequest, LatentryError, OptionError, UnknownName, option_schema
from latentry.models import split_at_names
from latentry.names import prompt_syntax_of, understand, understand_sigmas
from latentry_server.errors import option_error
from latentry_server.pictures import read_base64
from latentry_server.service import Service, Wanted

LORA = re.compile(r"<lora:([^:<>]+)(?::([-+]?[\d.]+))?>")
CHURN = {"s_churn": "churn", "s_tmin": "churn_min", "s_tmax": "churn_max", "s_noise": "noise_scale"}
"""AUTOMATIC1111's names of options, and ours."""
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "restore_faces": (False, None),
    "tiling": (False, None),
    "subseed_strength": (0, None),
    "seed_resize_from_h": (0, -1, None),
    "seed_resize_from_w": (0, -1, None),
    "script_name": (None, ""),
    "styles": ([], None),
    "alwayson_scripts": ({}, None),
    "refiner_checkpoint": (None, ""),
}
"""Fields that are not served here, and their values that ask for nothing: with all others a request is refused. Of what
else is sent and makes no difference here, ``info`` has the names, as ``ignored``."""
OF_THE_SECOND_PASS: dict[str, tuple[Any, ...]] = {
    "hr_resize_x": (0, None),
    "hr_resize_y": (0, None),
    "hr_checkpoint_name": (None, "", "Use same checkpoint"),
    "hr_sampler_name": (None, "", "Use same sampler"),
    "hr_scheduler": (None, "", "Use same scheduler"),
    "hr_prompt": (None, ""),
    "hr_negative_prompt": (None, ""),
}
"""Likewise, where ``enable_hr`` asks for a second pass."""
Whole = Field(default=1, ge=1, le=65_536)


class Drawing(BaseModel):
    """What ``txt2img`` and ``img2img`` have in common."""

    model_config = ConfigDict(extra="allow")

    prompt: str = Field(default="", max_length=100_000)
    negative_prompt: str | None = Field(default="", max_length=100_000)
    seed: int | None = Field(default=-1, ge=-1, lt=2**64)
    sampler_name: str | None = None
    sampler_index: str | None = None
    scheduler: str | None = None
    batch_size: int | None = Whole
    n_iter: int | None = Whole
    steps: int | None = Field(default=None, ge=1)
    cfg_scale: float | None = Field(default=None, ge=0.0, le=1000.0)
    width: int | None = Field(default=None, ge=1, le=65_536)
    height: int | None = Field(default=None, ge=1, le=65_536)
    denoising_strength: float | None = Field(default=None, ge=0.0, le=1.0)
    eta: float | None = None
    s_churn: float | None = None
    s_tmin: float | None = None
    s_tmax: float | None = None
    s_noise: float | None = None
    override_settings: dict[str, Any] | None = None

    @property
    def ignored(self) -> list[str]:
        """Fields that were given and change nothing."""
        return sorted(name for name, value in (self.model_extra or {}).items() if value and name not in NEUTRAL)


class FromText(Drawing):
    """What ``txt2img`` has besides: a second, larger pass."""

    enable_hr: bool | None = False
    hr_scale: float | None = Field(default=None, gt=1.0, le=8.0)
    hr_upscaler: str | None = None
    hr_second_pass_steps: int | None = Field(default=None, ge=0)

    def second_pass(self) -> dict[str, Any]:
        """Our fields of it.

        Raises:
            OptionError: an upscaler or another field of it is not served here.
        """
        if not self.enable_hr:
            return {}
        for name, neutral in OF_THE_SECOND_PASS.items():
            _check_neutral(name, (self.model_extra or {}).get(name), neutral)
        upscaler = self.hr_upscaler or "Latent"
        if upscaler != "None" and not upscaler.startswith("Latent"):
            raise OptionError(
                f"There is no upscaler {upscaler}.", remedy="Use Latent, or None for pixels.", field="hr_upscaler"
            )
        return {
            "upscale": self.hr_scale or 2.0,
            "upscale_strength": 0.75 if self.denoising_strength is None else self.denoising_strength,
            "upscale_steps": self.hr_second_pass_steps or None,
            "upscale_mode": "pixels" if upscaler == "None" else "latent",
        }


class FromPicture(Drawing):
    """What ``img2img`` has besides."""

    init_images: list[str] = Field(default_factory=list, max_length=64)
    mask: str | None = None
    mask_blur: int | None = Field(default=None, ge=0, le=1024)
    inpainting_mask_invert: bool | int | None = None


def to_wanted(service: Service, body: Drawing, model: str | None) -> Wanted:
    """The request and its pictures.

    Args:
        service: knows schedulers and LoRAs.
        body: what a client sent.
        model: what the interface is switched to; None for the default.

    Raises:
        LatentryError: something is not served here, or cannot be what it is.
    """
    for name, neutral in NEUTRAL.items():
        _check_neutral(name, (body.model_extra or {}).get(name), neutral)
    prompt, loras = _loras(service, body.prompt)
    settings = body.override_settings or {}
    each, rounds = body.batch_size or 1, body.n_iter or 1
    fields: dict[str, Any] = {
        "prompt": prompt,
        "negative": body.negative_prompt or "",
        "prompt_syntax": prompt_syntax_of(prompt, body.negative_prompt or ""),
        "model": model_name(settings.get("sd_model_checkpoint")) or model,
        "loras": loras,
        "embeddings": _embeddings(service, prompt, body.negative_prompt or ""),
        "seed": body.seed,
        "count": each * rounds,
        "batch": each,
        "steps": body.steps,
        "guidance": body.cfg_scale,
        "width": body.width,
        "height": body.height,
        "scheduler": body.sampler_name or body.sampler_index,
        **_sigmas(body.scheduler),
        **_conditioning(settings),
    }
    _check_names(service, body)
    if fields["scheduler"]:
        fields["scheduler_options"] = _options(service, fields["scheduler"], body)
        if service.host.schedulers[fields["scheduler"]].adaptive:
            del fields["batch"]  # it draws one picture at a time
    image = mask = None
    if isinstance(body, FromText):
        fields |= body.second_pass()
    if isinstance(body, FromPicture):
        image, mask = _pictures(service, body)
        fields |= {"strength": body.denoising_strength if body.denoising_strength is not None else 0.75}
        fields |= {"mask_feather": body.mask_blur} if mask is not None and body.mask_blur else {}
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        wanted = Wanted(GenerationRequest(**given), image, mask)
    except ValidationError as error:
        raise option_error(error) from error
    return _with_fitting_embeddings(service, wanted)


def _check_names(service: Service, body: Drawing) -> None:
    """That there are its sampler and its scheduler.

    Raises:
        UnknownName: with the field of that program, and where the names are.
    """
    sampler = "sampler_name" if body.sampler_name else "sampler_index"
    schedule: str | None = _sigmas(body.scheduler).get("sigmas")
    known: tuple[tuple[str, str | None, Callable[..., object], str], ...] = (
        (sampler, body.sampler_name or body.sampler_index, understand, "samplers"),
        ("scheduler", schedule, understand_sigmas, "schedulers"),
    )
    for field, name, meaning, listed in known:
        try:
            if name:
                meaning(service.host, name)
        except UnknownName as error:
            remedy = f"{error.remedy} See /sdapi/v1/{listed}.".strip()
            raise UnknownName(error.what, remedy=remedy, field=field) from error


def _check_neutral(name: str, value: Any, neutral: tuple[Any, ...]) -> None:
    if value not in neutral:
        raise OptionError(f"{name} is not served here.", remedy="Leave it out.", field=name)


def model_name(title: Any) -> str | None:
    """A model's name without the hash that titles end in.

    Raises:
        OptionError: it is something else than text.
    """
    if title is None:
        return None
    if not isinstance(title, str):
        raise OptionError("sd_model_checkpoint must be a string.", field="sd_model_checkpoint")
    return re.sub(r" \[[0-9a-f]+\]$", "", title) or None


def _sigmas(scheduler: str | None) -> dict[str, Any]:
    return {} if scheduler is None or scheduler.lower() in ("", "automatic") else {"sigmas": scheduler}


def _conditioning(settings: Mapping[str, Any]) -> dict[str, Any]:
    """``CLIP_stop_at_last_layers`` counts from 1, ours from 0."""
    known = {"sd_model_checkpoint", "CLIP_stop_at_last_layers", "sd_vae", "samples_format"}
    if unknown := sorted(set(settings) - known):
        raise OptionError(f"The setting {unknown[0]!r} is not served here.", field="override_settings")
    if settings.get("sd_vae") not in (None, "", "Automatic", "None"):
        raise OptionError("Another autoencoder is not served here.", field="override_settings")
    skipped = settings.get("CLIP_stop_at_last_layers") or 1
    if not isinstance(skipped, int):
        raise OptionError("CLIP_stop_at_last_layers must be an integer.", field="override_settings")
    return {"conditioning": {"clip_skip": skipped - 1}} if skipped > 1 else {}


def _options(service: Service, scheduler: str, body: Drawing) -> dict[str, Any]:
    """η where the scheduler has it, and churn where that is wanted.

    Raises:
        OptionError: churn is wanted of a scheduler that has none.
        UnknownName: there is no such scheduler.
    """
    known = option_schema(service.host, "schedulers", scheduler)["properties"]
    found = {"eta": body.eta} if body.eta is not None and "eta" in known else {}
    if body.s_churn:
        for theirs, ours in CHURN.items():
            value = getattr(body, theirs)
            if value is None or (theirs == "s_tmax" and value == 0):  # 0 is no upper limit there
                continue
            if ours not in known:
                raise OptionError(f"{theirs} is not an option of {scheduler}.", field=theirs)
            found[ours] = value
    return found


def _loras(service: Service, prompt: str) -> tuple[str, tuple[dict[str, Any], ...]]:
    """The prompt without ``<lora:name:weight>``, and the LoRAs."""
    found: list[dict[str, Any]] = []
    if (tags := LORA.findall(prompt)) and (offered := service.shelf.loras()) is not None:
        for name, weight in tags:
            if name not in offered:
                raise OptionError(f"There is no LoRA {name!r}.", remedy="See /sdapi/v1/loras.", field="loras")
            try:
                found.append({"path": offered[name].path, "weight": float(weight or 1.0)})
            except ValueError as error:
                raise OptionError(f"The weight of the LoRA {name!r} is not a number.", field="loras") from error
    return LORA.sub("", prompt), tuple(found)


def _embeddings(service: Service, *prompts: str) -> tuple[dict[str, Any], ...]:
    """The embeddings whose names are words of the prompts, as that program takes them."""
    offered = service.shelf.embeddings()
    pieces = (piece for prompt in prompts for piece in split_at_names(prompt, offered))
    return tuple({"path": offered[name].path, "name": name} for name in dict.fromkeys(p.name for p in pieces) if name)


def _with_fitting_embeddings(service: Service, wanted: Wanted) -> Wanted:
    """Without the embeddings that are for other models, as that program skips them: their names may be plain words."""
    fitting = tuple(one for one in wanted.request.embeddings if _fits(service, wanted, one))
    unfit = tuple(one.name for one in wanted.request.embeddings if one not in fitting)
    return replace(wanted, request=wanted.request.model_copy(update={"embeddings": fitting}), unfit=unfit)


def _fits(service: Service, wanted: Wanted, embedding: EmbeddingRequest) -> bool:
    request = service.with_model(wanted.request.model_copy(update={"embeddings": (embedding,)}))
    try:
        service.engine.prepare(request, init_image=wanted.init_image, mask=wanted.mask)
    except LatentryError as error:
        return error.field != "embeddings"  # what else is wrong is told where the request is submitted
    return True


def _pictures(service: Service, body: FromPicture) -> tuple[Image.Image, Image.Image | None]:
    if len(body.init_images) != 1:
        raise OptionError(
            f"{len(body.init_images)} pictures were sent to start from.", remedy="Send one.", field="init_images"
        )
    policy = service.settings.policy
    image = read_base64(body.init_images[0], policy, "init_images")
    if not body.mask:
        return image, None
    mask = read_base64(body.mask, policy, "mask").convert("L")
    return image, ImageOps.invert(mask) if body.inpainting_mask_invert else mask
