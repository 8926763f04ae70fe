"""Decides everything a request leaves open, before any weight is loaded."""

from __future__ import annotations

import secrets
from dataclasses import asdict

from latentry._attention._choice import choose_attention
from latentry._attention._roster import Roster
from latentry._contract._model import OpenCheckpoint
from latentry._contract._progress import Progress, ProgressEvent
from latentry._discovery import PluginHost
from latentry._files._find import Access, Beside
from latentry._files._locate import Located, locate
from latentry._guidance._refiner import choose_refiner
from latentry._request._generation_request import GenerationRequest
from latentry._request._memory_policy import MemoryPolicy
from latentry._resolve._canvas import choose_canvas
from latentry._resolve._conditioning import choose_conditioning
from latentry._resolve._device import choose_device, choose_dtype
from latentry._resolve._guidance import choose_guidance, notes_on
from latentry._resolve._inputs import Picture
from latentry._resolve._loras import choose_loras
from latentry._resolve._memory import choose_memory, leave_out
from latentry._resolve._plan import choose_way
from latentry._resolve._plugins_used import ingredients
from latentry._resolve._setup import Setup


def prepare(
    host: PluginHost,
    request: GenerationRequest,
    init_image: Picture | None,
    mask: Picture | None,
    roster: Roster,
    progress: Progress,
    policy: MemoryPolicy,
) -> Setup:
    """See the module; everything that does not fit is refused here, in one error."""
    access = Access(request.revision, request.offline, lambda text: progress(ProgressEvent("load", 0, 0, text)))
    beside = Beside(request.vae, request.text_encoders, request.tokenizer, request.config)
    located = leave_out(host, request, locate(host, request.model, request.variant, beside, access))
    open_checkpoint: OpenCheckpoint = host.families.load(located.family)
    checkpoint = open_checkpoint(located.files, located.variant.name)
    canvas = choose_canvas(request, located.variant, checkpoint, init_image, mask)
    refiner = choose_refiner(host, request, located, checkpoint, canvas.size, access)
    pairs = [(located, checkpoint), *([(refiner.located, refiner.checkpoint)] if refiner else [])]
    opened = [each for _, each in pairs]
    conditioning = choose_conditioning(host, located.family, request.conditioning, opened)
    loras = choose_loras(request.loras, request.lora_mode, checkpoint)
    way = choose_way(host, request, located, checkpoint, canvas.size, canvas.strength)
    scale = _guidance(request, located)
    guidance = choose_guidance(request, scale, located.variant, checkpoint, way.plan)
    device = choose_device(request.device)
    dtype = choose_dtype(request.dtype, device)
    memory = choose_memory(policy, request, opened, canvas, device, dtype)
    attention = choose_attention(roster, request.attention, request.attention_options, device, dtype)
    decided = {
        "model": located.name,
        "variant": located.variant.name,
        "revision": located.commit,
        "offline": False,  # how the files came here is no part of the picture
        **asdict(located.beside),
        "conditioning": {} if conditioning is None else conditioning.model_dump(),
        "refiner": refiner.located.pinned if refiner else None,
        "loras": loras.requests,
        "guidance": scale,
        "seed": secrets.randbelow(2**32) if request.seed is None else request.seed,
        "dtype": str(dtype).split(".")[-1],
        "attention": attention.text,
        "attention_options": attention.options,
    }
    return Setup(
        request=request.model_copy(update=decided | way.decided(request) | canvas.decided(request) | memory.decided),
        located=located,
        checkpoint=checkpoint,
        plan=way.plan,
        guidance=guidance,
        conditioning=conditioning,
        refiner=refiner,
        loras=loras,
        inputs=canvas.inputs,
        latent_shape=canvas.latent_shape,
        device=device,
        dtype=dtype,
        memory=memory,
        plugins=ingredients(host, located, way, attention),
        notes=(
            *way.scheduler.notes,
            *notes_on(request, guidance, len(way.plan)),
            *canvas.notes,
            *loras.notes,
            *attention.notes,
        ),
    )


def _guidance(request: GenerationRequest, located: Located) -> float:
    if request.guidance is not None:
        return request.guidance
    own = located.checkpoint.guidance if located.checkpoint else None
    return located.variant.guidance if own is None else own
