"""The plan of a request, laid out from its scheduler and sigmas or read from its plan file."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from latentry._contract._curve import largest
from latentry._contract._model import ShiftsBySteps
from latentry._discovery import plugin_call
from latentry._request._generation_request import GenerationRequest
from latentry._request._values._strength import StepCounts
from latentry._resolve._deciding._found import Found
from latentry._resolve._deciding._scale import choose_scale
from latentry._resolve._guiding._guard import guarded_for
from latentry._resolve._guiding._guidance_method import ChosenMethod
from latentry._resolve._plan import LaidOut, choose_part, choose_steps, lay_out
from latentry._resolve._planning._best import BEST, best_scheduler, better_note
from latentry._resolve._planning._plan_file import follow_plan_file
from latentry._resolve._scheduler import ChosenScheduler, choose_scheduler
from latentry._resolve._shown._canvas import Canvas
from latentry._resolve._sigmas import ChosenSigmas, choose_sigmas
from latentry._resolve._useless._idle_options import Idle, find_idle


def choose_plan(
    found: Found, request: GenerationRequest, canvas: Canvas, method: ChosenMethod, *, strict: bool
) -> LaidOut:
    """The plan file's, else the scheduler's on its sigmas.

    Args:
        found: what there is.
        request: what is wanted.
        canvas: the pictures' size, and how much of a picture to begin from is kept.
        method: of guidance.
        strict: options without effect are found and have their defaults.

    Raises:
        LatentryError: see the choosers.
    """
    if request.plan is None:
        return _lay_out(found, request, canvas, method, strict=strict)
    scale = largest(choose_scale(found, request, method, None))
    noise = found.checkpoint.noise
    return follow_plan_file(found.host, request.plan, request.steps, canvas.strength, noise, found.located, scale)


def _lay_out(
    found: Found, request: GenerationRequest, canvas: Canvas, method: ChosenMethod, *, strict: bool
) -> LaidOut:
    host, located, noise, known = found.host, found.located, found.checkpoint.noise, found.known
    scheduler, notes = _scheduler(found, request, method)
    part = canvas.strength not in (None, 1.0) and request.strength_mode == "cut"
    adaptive = scheduler.scheduler.adaptive
    steps = choose_steps(request.steps, request.sigmas, located.variant, adaptive=adaptive, part=part)
    counts = choose_part(steps, request.sigmas, canvas.strength, request.strength_mode)
    found.access.policy.check("steps", counts.laid_out)
    sigmas = _sigmas(found, request, canvas, scheduler, counts)
    making = partial(lay_out, scheduler, sigmas, noise, counts, located)
    on_grid = located.variant.on_grid
    plan = known.plans(scheduler.scheduler, sigmas, noise, counts, on_grid=on_grid, lay_out=making)
    if not strict:
        return LaidOut(plan, steps, scheduler, sigmas, notes=scheduler.notes)
    if request.scheduler is None:
        scale = largest(choose_scale(found, request, method, None))
        notes = better_note(host, located, scheduler.name, len(plan), scale)

    def find() -> Idle:
        return find_idle(scheduler, sigmas, lambda made, grid: lay_out(made, grid, noise, counts, located))

    idle = known.idle(plan, sigmas, counts, on_grid=on_grid, find=find)
    return LaidOut(plan, steps, *idle.reset(scheduler, sigmas), idle=idle, notes=(*notes, *scheduler.notes))


def _scheduler(
    found: Found, request: GenerationRequest, method: ChosenMethod
) -> tuple[ChosenScheduler, tuple[str, ...]]:
    """The one that is named, the best by evidence or the variant's own, guarded for its guidance; and why."""
    host, located = found.host, found.located
    name, notes = request.scheduler, tuple[str, ...]()
    if name == BEST:
        levels = len(request.sigmas) if isinstance(request.sigmas, tuple) else None
        asked = request.steps or levels or located.variant.steps
        best = best_scheduler(host, located, asked, largest(choose_scale(found, request, method, None)))
        name, notes = best.name, (best.note,)
    scheduler = choose_scheduler(host, located, name, request.scheduler_options)
    free = located.variant.guidance_kind == "classifier-free"
    scale = choose_scale(found, request, method, scheduler.name) if free else 1.0
    return guarded_for(scheduler, request.scheduler_options, largest(scale)), notes


def _sigmas(
    found: Found, request: GenerationRequest, canvas: Canvas, scheduler: ChosenScheduler, counts: StepCounts
) -> ChosenSigmas:
    """Its sigmas, with the checkpoint's time shift at the pictures' size."""
    checkpoint, located = found.checkpoint, found.located
    with plugin_call(checkpoint):
        if isinstance(checkpoint, ShiftsBySteps):
            shift: float | None = checkpoint.shift_for(*canvas.shown, counts.laid_out)
        else:
            shift = checkpoint.shift(*canvas.shown)
    measured = located.checkpoint is not None and located.checkpoint.measured_grids
    return choose_sigmas(
        found.host,
        scheduler,
        replace(checkpoint.noise, own=None) if measured else checkpoint.noise,
        counts.laid_out,
        sigmas=request.sigmas,
        options=request.sigma_options,
        final=request.final,
        shift=shift,
    )
