"""A recipe as the text that AUTOMATIC1111 and its kin read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latentry._contract._curve import largest
from latentry._discovery import PluginHost
from latentry._pictures._automatic1111 import SCHEDULES, write_parameters
from latentry._request._generation_request import GenerationRequest
from latentry._request._recipe import Recipe
from latentry._request._values._strength import count_steps
from latentry._specs import PeerName

PROGRAM = "AUTOMATIC1111"


def parameters(host: PluginHost, recipe: Recipe) -> str:
    """The text for a picture; where that program has no name for a scheduler or a sigma schedule, ours.

    A recipe holds more than it can say: it is for reading, and for programs that do not know recipes.
    """
    request = recipe.request
    peer = _peer(host, request.scheduler or "", request.scheduler_options)
    loras = "".join(f"<lora:{Path(lora.path).stem}:{largest(lora.weight):g}>" for lora in request.loras)
    skipped = request.conditioning.get("clip_skip")
    strength = request.strength if request.upscale is None else request.upscale_strength  # it has one for both
    values: dict[str, object] = {
        "Steps": request.steps,
        "Sampler": peer.name if peer else _own(request.scheduler),
        "Schedule type": _schedule(request.sigmas, peer),
        "CFG scale": f"{largest(request.guidance):g}" if request.guidance is not None else None,
        "Seed": request.seed,
        "Size": f"{request.width}x{request.height}",
        "Model": Path(request.model).stem if request.model else None,
        "Denoising strength": f"{strength:g}" if strength is not None else None,
        **_larger(request),
        "Clip skip": skipped + 1 if isinstance(skipped, int) and skipped else None,
        "Batch pos": recipe.index or None,
        "Version": f"latentry {recipe.core}",
    }
    return write_parameters(request.prompts[recipe.index] + loras, request.negative, values)


def _larger(request: GenerationRequest) -> Mapping[str, object]:
    """That program counts the steps that are taken."""
    if request.upscale is None or request.upscale_steps is None:
        return {}
    laid_out, left_out = count_steps(request.upscale_steps, request.upscale_strength, request.strength_mode)
    upscaler = "Latent (bicubic)" if request.upscale_mode == "latent" else "Lanczos"
    return {
        "Hires upscale": f"{request.upscale:g}",
        "Hires steps": laid_out - left_out,
        "Hires upscaler": upscaler,
    }


def _peer(host: PluginHost, scheduler: str, options: Mapping[str, Any]) -> PeerName | None:
    """That program's name for a scheduler: the one whose options are these, or the nearest."""
    spec = host.schedulers.get(scheduler)
    names = [peer for peer in spec.peers if peer.peer == PROGRAM] if spec else []
    return max(names, key=lambda peer: _alike(peer, options), default=None)


def _alike(peer: PeerName, options: Mapping[str, Any]) -> float:
    """The share of a name's options that are these; the first name counts among equals."""
    same = [options.get(name) == value for name, value in peer.options]
    return sum(same) / len(same) if same else 0.5


def _schedule(sigmas: object, peer: PeerName | None) -> str:
    if not isinstance(sigmas, str):
        return ""  # levels of one's own, which it cannot say
    own = _own(sigmas)
    usual = peer is not None and peer.sigmas is not None and peer.sigmas.name == sigmas
    return SCHEDULES.get(own, "Automatic" if usual else own)


def _own(qualified: str | None) -> str:
    return (qualified or "").rpartition(":")[2]
