"""Decides everything that a request leaves open, before any weight is loaded."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from latentry._attention._available import AvailableBackends
from latentry._contract._lora import ChosenLoras
from latentry._contract._progress import Progress, ProgressEvent
from latentry._discovery import PluginHost
from latentry._files._finding._access import Access
from latentry._files._finding._locate import Located
from latentry._files._opened import OpenedCheckpoints
from latentry._policy import ANYTHING, Policy
from latentry._request._generation_request import GenerationRequest
from latentry._request._memory_policy import MemoryPolicy
from latentry._request._values._limits import check_passes, check_request
from latentry._resolve._deciding._companions import Companions, choose_companions
from latentry._resolve._deciding._found import Found, opened_checkpoint
from latentry._resolve._deciding._machine import Machine, choose_machine
from latentry._resolve._deciding._sampling import Sampling, choose_sampling
from latentry._resolve._guiding._guidance_method import choose_method
from latentry._resolve._known import Known
from latentry._resolve._larger import check_larger, larger_inputs, larger_request, naming_upscale, size_note
from latentry._resolve._memory import ChosenMemory, about_offload
from latentry._resolve._plugins_used import plugins_used
from latentry._resolve._setup import Setup
from latentry._resolve._shown._canvas import Canvas, choose_canvas
from latentry._resolve._shown._denoise_tiles import choose_tiles
from latentry._resolve._shown._inputs import Inputs, read_inputs
from latentry._resolve._shown._read_picture import Picture
from latentry._resolve._shown._task import check_references


def prepare(
    host: PluginHost,
    request: GenerationRequest,
    pictures: Mapping[str, Picture | None],
    backends: AvailableBackends,
    progress: Progress,
    policy: MemoryPolicy,
    *,
    strict: bool = True,
    opening: Policy = ANYTHING,
    opened: OpenedCheckpoints | None = None,
    known: Known | None = None,
) -> Setup:
    """Everything that does not fit is refused here, in one error.

    Args:
        host: what is installed.
        request: what is wanted.
        pictures: ``init_image`` and ``mask`` of the caller, in place of the request's files.
        backends: for attention.
        progress: called while something is downloaded.
        policy: how the host saves memory.
        strict: refuse options without effect; recipes of earlier versions may have them.
        opening: what may be opened and asked for.
        opened: checkpoints of earlier requests.
        known: what they found out.

    Raises:
        LatentryError: see the choosers.
    """
    check_request(opening, request)
    access = Access(
        request.revision, request.offline, lambda text: progress(ProgressEvent("load", 0, 0, text)), opening
    )
    located, checkpoint = opened_checkpoint(host, request, access, opened or OpenedCheckpoints())
    check_references(located.variant, len(request.references))
    files = {"init_image": request.init_image, "mask": request.mask}
    inputs = read_inputs(pictures, files, opening, request.references)
    found = Found(host, located, checkpoint, backends, policy, access, known or Known())
    setup = _decide(found, request, inputs, strict=strict)
    return setup if request.upscale is None else _with_larger(found, request, setup, inputs)


def _with_larger(found: Found, request: GenerationRequest, setup: Setup, given: Inputs) -> Setup:
    """The setup with its second pass. Both keep the networks in memory as the larger one needs it."""
    opening = found.access.policy
    with naming_upscale():
        second = larger_request(request, setup)
        inputs = larger_inputs(setup, given, opening)
        larger = _decide(found, second, inputs, strict=False)
    check_larger(setup, larger)
    check_passes(opening, *((each.plan, len(each.tiles or (0,))) for each in (setup, larger)))
    second = larger.request
    decided = {"upscale_steps": second.steps, "denoise_overlap": second.denoise_overlap, **larger.memory.decided}
    return replace(
        setup,
        request=setup.request.model_copy(update=decided),
        memory=larger.memory,
        notes=(*setup.notes, *size_note(setup, larger)),
        larger=larger if given.mask is not None else replace(larger, inputs=replace(larger.inputs, image=None)),
    )


def _decide(found: Found, request: GenerationRequest, inputs: Inputs, *, strict: bool) -> Setup:
    """One pass of a request."""
    host, located = found.host, found.located
    canvas = _canvas(found, request, inputs)
    method = choose_method(host, located, request.guidance_method, request.guidance_options, request.guidance)
    companions = choose_companions(found, request, canvas, method)
    sampling = choose_sampling(found, request, canvas, method, companions, strict=strict)
    machine = choose_machine(found, request, canvas, companions, method, cached=sampling.step_cache is not None)
    laid_out, controls = sampling.laid_out, companions.controls
    decided = {
        **_files(request, located),
        "seed": secrets.randbelow(2**32) if request.seed is None else request.seed,
        **companions.decided,
        **machine.decided,
        **sampling.decided,
        **method.decided,
        **canvas.decided,
    }
    return Setup(
        request=request.model_copy(update=decided),
        located=located,
        checkpoint=found.checkpoint,
        plan=sampling.plan,
        guidance=sampling.guidance,
        conditioning=companions.conditioning,
        refiner=companions.refiner,
        weak=companions.weak,
        loras=companions.loras,
        controls=controls,
        embeddings=companions.embeddings,
        injection_points=host.families[located.family].injection_points,
        inputs=canvas.inputs,
        latent_shape=canvas.latent_shape,
        device=machine.device,
        dtype=machine.dtype,
        memory=machine.memory,
        plugins=plugins_used(host, located, laid_out, method, machine.attention, controls),
        core=host.core_version,
        plan_digest=laid_out.digest,
        tiles=canvas.tiles,
        step_cache=sampling.step_cache,
        notes=tuple(_notes(request, canvas, companions, sampling, machine)),
    )


def _canvas(found: Found, request: GenerationRequest, inputs: Inputs) -> Canvas:
    """The size of the pictures, and the tiles in which they are denoised."""
    variant, checkpoint = found.located.variant, found.checkpoint
    canvas = choose_canvas(
        variant,
        checkpoint,
        inputs,
        width=request.width,
        height=request.height,
        strength=request.strength,
        policy=found.access.policy,
    )
    tiles = choose_tiles(
        checkpoint,
        variant,
        canvas,
        tile=request.denoise_tile,
        overlap=request.denoise_overlap,
        steered=bool(request.controls),
    )
    return replace(canvas, tiles=tiles)


def _files(request: GenerationRequest, located: Located) -> dict[str, Any]:
    """The fields of a request that name the same files from anywhere."""
    return {
        "model": located.name,
        "variant": located.variant.name,
        "revision": located.commit,
        "offline": False,  # how the files came here makes no difference to the picture
        **asdict(located.parts),
        "init_image": _absolute(request.init_image),
        "mask": _absolute(request.mask),
        "references": tuple(filter(None, map(_absolute, request.references))),
    }


def _notes(
    request: GenerationRequest, canvas: Canvas, companions: Companions, sampling: Sampling, machine: Machine
) -> Iterator[str]:
    """What to tell the user, one sentence each."""
    yield from sampling.laid_out.notes
    yield from (f"The option {each.name} has no effect here. {each.why}" for each in sampling.useless)
    yield from canvas.notes
    if not any(each.field == "batch" for each in sampling.useless):
        yield from _about_batches(request, sampling)
    yield from companions.embeddings.notes
    yield from companions.loras.notes
    yield from _about_graphs(machine.memory, companions.loras)
    yield from about_offload(machine.memory.policy, machine.device)
    for control in companions.controls:
        yield from control.notes
    yield from machine.attention.notes


def _about_graphs(memory: ChosenMemory, loras: ChosenLoras) -> Iterator[str]:
    if loras.varying and memory.capture not in ("off", "auto"):
        yield "The network is not captured as graphs: they would hold the LoRAs' weights, which change over the run."


def _about_batches(request: GenerationRequest, sampling: Sampling) -> Iterator[str]:
    if min(request.batch, len(request.prompts)) == 1:
        return
    if sampling.plan.scheduler.adaptive:
        yield "The scheduler chooses its steps for each picture: they are drawn one at a time, whatever the batch."
    elif sampling.step_cache is not None and sampling.step_cache.by_change:
        yield "The step cache decides for each picture: they are drawn one at a time, whatever the batch."


def _absolute(file: str | None) -> str | None:
    return None if file is None else str(Path(file).expanduser().resolve())
