"""Decides everything that a request leaves open, before any weight is loaded."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from latentry._attention._available import AvailableBackends
from latentry._attention._choice import choose_attention
from latentry._contract._caching._step_cache import StepCache
from latentry._contract._curve import Curve, largest
from latentry._contract._lora import ChosenLoras
from latentry._contract._model import Checkpoint, OpenCheckpoint, ShiftsBySteps, StatesGuidance
from latentry._contract._progress import Progress, ProgressEvent
from latentry._discovery import PluginHost, plugin_call
from latentry._errors import OptionError
from latentry._files._finding._access import Access
from latentry._files._finding._find import installed
from latentry._files._finding._locate import Located, locate
from latentry._files._finding._parts import PartSources
from latentry._files._opened import Asked, OpenedCheckpoints
from latentry._guidance._guidance import Guidance
from latentry._guidance._method import GuidanceMethod
from latentry._guidance._second_models._refiner import choose_refiner
from latentry._guidance._second_models._weak_model import choose_weak_model
from latentry._numerics._plan import Plan
from latentry._policy import ANYTHING, Policy
from latentry._request._generation_request import GenerationRequest
from latentry._request._memory_policy import MemoryPolicy
from latentry._request._values._limits import check_passes, check_plan, check_request
from latentry._resolve._added._controls import choose_controls
from latentry._resolve._added._embeddings import choose_embeddings
from latentry._resolve._added._loras import choose_loras
from latentry._resolve._conditioning import choose_conditioning
from latentry._resolve._device import choose_device, choose_dtype
from latentry._resolve._guiding._guard import guarded_for
from latentry._resolve._guiding._guidance import GuidanceOptions, choose_guidance
from latentry._resolve._guiding._guidance_method import ChosenMethod, check_attention, choose_method
from latentry._resolve._known import Known
from latentry._resolve._larger import check_larger, larger_inputs, larger_request, naming_upscale, size_note
from latentry._resolve._memory import ChosenMemory, about_offload, check_weights, choose_memory, parts_of
from latentry._resolve._plan import LaidOut, choose_part, choose_steps, lay_out
from latentry._resolve._planning._best import BEST, best_scheduler, better_note
from latentry._resolve._planning._plan_file import follow_plan_file
from latentry._resolve._plugins_used import plugins_used
from latentry._resolve._scheduler import choose_scheduler
from latentry._resolve._setup import Setup
from latentry._resolve._shown._canvas import Canvas, choose_canvas
from latentry._resolve._shown._denoise_tiles import choose_tiles
from latentry._resolve._shown._inputs import Inputs, read_inputs
from latentry._resolve._shown._read_picture import Picture
from latentry._resolve._shown._task import check_references
from latentry._resolve._sigmas import choose_sigmas
from latentry._resolve._step_cache import choose_step_cache
from latentry._resolve._useless._idle_options import Idle, find_idle, find_idle_of_guidance
from latentry._resolve._useless._refusals import not_read, refuse, without_effect, without_effect_on
from latentry._specs import VariantSpec


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
    located, checkpoint = _opened(host, request, access, opened or OpenedCheckpoints())
    check_references(located.variant, len(request.references))
    files = {"init_image": request.init_image, "mask": request.mask}
    inputs = read_inputs(pictures, files, opening, request.references)
    found = _Found(host, located, checkpoint, backends, policy, access, known or Known())
    setup = _decide(found, request, inputs, strict=strict)
    return setup if request.upscale is None else _with_larger(found, request, setup, inputs)


@dataclass(frozen=True)
class _Found:
    """What is there, whatever the request's size.

    Attributes:
        host: what is installed.
        located: the model.
        checkpoint: its configuration.
        backends: for attention.
        policy: how the host saves memory.
        access: what may be opened, and how.
        known: what earlier requests found out.
    """

    host: PluginHost
    located: Located
    checkpoint: Checkpoint
    backends: AvailableBackends
    policy: MemoryPolicy
    access: Access
    known: Known


def _with_larger(found: _Found, request: GenerationRequest, setup: Setup, given: Inputs) -> Setup:
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


def _decide(found: _Found, request: GenerationRequest, inputs: Inputs, *, strict: bool) -> Setup:
    """One pass of a request."""
    host, located, checkpoint, access = found.host, found.located, found.checkpoint, found.access
    opening = access.policy
    canvas = choose_canvas(
        located.variant,
        checkpoint,
        inputs,
        width=request.width,
        height=request.height,
        strength=request.strength,
        policy=opening,
    )
    tiles = choose_tiles(
        checkpoint,
        located.variant,
        canvas,
        tile=request.denoise_tile,
        overlap=request.denoise_overlap,
        steered=bool(request.controls),
    )
    canvas = replace(canvas, tiles=tiles)
    method = choose_method(host, located, request.guidance_method, request.guidance_options, request.guidance)
    second = (located, checkpoint, canvas.size, replace(access, revision=None))
    refiner = choose_refiner(host, request.refiner, request.switch, *second)
    weak = choose_weak_model(host, request.guidance_model, "weak-model" in method.spec.branches, *second)
    checkpoints = [checkpoint, *(other.checkpoint for other in (refiner, weak) if other)]
    conditioning = choose_conditioning(host, located.family, request.conditioning, checkpoints)
    embeddings = choose_embeddings(request.embeddings, checkpoints)
    loras = choose_loras(request.loras, request.lora_mode, checkpoint)
    controls = choose_controls(host, request, located, checkpoint, canvas.size, second[-1])

    if request.plan is None:
        laid_out = _lay_out(host, request, located, checkpoint, canvas, method, opening, found.known, strict=strict)
    else:
        scale = largest(_scale(host, request, located, method, None))
        laid_out = follow_plan_file(
            host, request.plan, request.steps, canvas.strength, checkpoint.noise, located, scale
        )
    plan = laid_out.plan
    check_plan(opening, plan, len(canvas.tiles) if canvas.tiles else 1)
    step_cache = choose_step_cache(host, request, located, plan, tiled=canvas.tiles is not None)
    options = _guidance_options(host, request, located, method, laid_out)
    guidance = choose_guidance(options, method, located.variant, checkpoint, plan)
    useless = without_effect(request, canvas, guidance, plan)
    if strict:
        guide = partial(_guide, options, method, located.variant, checkpoint)
        idle_guidance = find_idle_of_guidance(method.method, guide, plan)
        unread = not_read(request, conditioning, checkpoints, guidance)
        refuse((*useless, *without_effect_on(request, laid_out.idle, idle_guidance, plan), *unread))

    device = choose_device(request.device)
    dtype = choose_dtype(request.dtype, device)
    memory = choose_memory(
        found.policy,
        parts=parts_of(checkpoints),
        dtypes=request.dtypes,
        tiling=request.vae_tiling,
        slicing=request.vae_slicing,
        capture=request.capture,
        weights=request.weights,
        step_cache=step_cache is not None,
        size=canvas.size,
        latent_width=canvas.latent_shape[-1],
        together=min(request.batch, len(request.prompts)),
        device=device,
        dtype=dtype,
    )
    check_weights(memory.weights, checkpoints, loras)
    attention = choose_attention(found.backends, request.attention, request.attention_options, device, dtype)
    check_attention(method, checkpoint, attention.text, located.variant)
    decided = {
        "model": located.name,
        "variant": located.variant.name,
        "revision": located.commit,
        "offline": False,  # how the files came here makes no difference to the picture
        **asdict(located.parts),
        "init_image": _absolute(request.init_image),
        "mask": _absolute(request.mask),
        "references": tuple(filter(None, map(_absolute, request.references))),
        "conditioning": {} if conditioning is None else conditioning.model_dump(),
        "refiner": refiner.located.pinned if refiner else None,
        "guidance_model": weak.located.pinned if weak else None,
        "embeddings": embeddings.requests,
        "loras": loras.requests,
        "controls": tuple(control.request for control in controls),
        "control_preprocess": None,  # each control has it by now
        "guidance": options.guidance,
        "seed": secrets.randbelow(2**32) if request.seed is None else request.seed,
        "dtype": str(dtype).split(".")[-1],
        "attention": attention.text,
        "attention_options": attention.options,
        **laid_out.decided,
        **method.decided,
        **canvas.decided,
        **memory.decided,
    }
    return Setup(
        request=request.model_copy(update=decided),
        located=located,
        checkpoint=checkpoint,
        plan=plan,
        guidance=guidance,
        conditioning=conditioning,
        refiner=refiner,
        weak=weak,
        loras=loras,
        controls=controls,
        embeddings=embeddings,
        injection_points=host.families[located.family].injection_points,
        inputs=canvas.inputs,
        latent_shape=canvas.latent_shape,
        device=device,
        dtype=dtype,
        memory=memory,
        plugins=plugins_used(host, located, laid_out, method, attention, controls),
        core=host.core_version,
        plan_digest=laid_out.digest,
        tiles=canvas.tiles,
        step_cache=step_cache,
        notes=(
            *laid_out.notes,
            *(f"The option {each.name} has no effect here. {each.why}" for each in useless),
            *canvas.notes,
            *(_about_batches(request, plan, step_cache) if not any(each.field == "batch" for each in useless) else ()),
            *embeddings.notes,
            *loras.notes,
            *_about_graphs(memory, loras),
            *about_offload(memory.policy, device),
            *(note for control in controls for note in control.notes),
            *attention.notes,
        ),
    )


def _guide(
    options: GuidanceOptions,
    chosen: ChosenMethod,
    variant: VariantSpec,
    checkpoint: Checkpoint,
    method: GuidanceMethod,
    plan: Plan,
) -> Guidance:
    """The guidance with other options of its method."""
    return choose_guidance(options, replace(chosen, method=method), variant, checkpoint, plan)


def _about_graphs(memory: ChosenMemory, loras: ChosenLoras) -> Iterator[str]:
    if loras.varying and memory.capture not in ("off", "auto"):
        yield "The network is not captured as graphs: they would hold the LoRAs' weights, which change over the run."


def _about_batches(request: GenerationRequest, plan: Plan, cache: StepCache | None) -> Iterator[str]:
    if min(request.batch, len(request.prompts)) == 1:
        return
    if plan.scheduler.adaptive:
        yield "The scheduler chooses its steps for each picture: they are drawn one at a time, whatever the batch."
    elif cache is not None and cache.by_change:
        yield "The step cache decides for each picture: they are drawn one at a time, whatever the batch."


def _opened(
    host: PluginHost, request: GenerationRequest, access: Access, opened: OpenedCheckpoints
) -> tuple[Located, Checkpoint]:
    """As ``_open``; where nothing but the model is named, and by its user, an earlier request's checkpoint will do."""
    apart = (*request.text_encoders, request.vae, request.tokenizer, request.config, access.revision)
    model = request.model
    path = None if model is None or any(apart) else _path(host, model, access.policy)
    if model is None or path is None:
        return _open(host, request, access)
    return opened(Asked(model, path, request.variant, request.without), partial(_open, host, request, access))


def _path(host: PluginHost, model: str, policy: Policy) -> Path | None:
    """Where a model on this machine lies; None for what a model source may know, and for what may not be opened."""
    if model in host.checkpoints:
        return installed(host, model)
    path = Path(model)
    return path if path.is_absolute() and policy.allows_path(model) and path.exists() else None


def _open(host: PluginHost, request: GenerationRequest, access: Access) -> tuple[Located, Checkpoint]:
    """The checkpoint's configuration, without the parts that are to be left out."""
    parts = PartSources(request.vae, request.text_encoders, request.tokenizer, request.config)
    located = locate(host, request.model, request.variant, parts, access)
    optional = host.families[located.family].optional_parts
    if wrong := [part for part in request.without if part not in optional]:
        raise OptionError(
            f"{located.name} needs {' and '.join(wrong)}.",
            why=f"Only {' and '.join(optional)} can be left out." if optional else "None of its parts is optional.",
            remedy="Do not leave it out.",
            field="without",
        )
    located = replace(located, files=replace(located.files, without=request.without))
    open_checkpoint: OpenCheckpoint = host.families.load(located.family)
    with host.families.calling(located.family):
        checkpoint = open_checkpoint(located.files, located.variant.name)
        stated = checkpoint.own_guidance if isinstance(checkpoint, StatesGuidance) else None
    known = located.checkpoint.guidance if located.checkpoint else None
    return replace(located, guidance=stated if known is None else known), checkpoint


def _lay_out(
    host: PluginHost,
    request: GenerationRequest,
    located: Located,
    checkpoint: Checkpoint,
    canvas: Canvas,
    method: ChosenMethod,
    opening: Policy,
    known: Known,
    *,
    strict: bool,
) -> LaidOut:
    """The scheduler on its sigmas; where it is strict, options without effect are found and have their defaults."""
    name, notes = request.scheduler, tuple[str, ...]()
    if name == BEST:
        levels = len(request.sigmas) if isinstance(request.sigmas, tuple) else None
        asked = request.steps or levels or located.variant.steps
        best = best_scheduler(host, located, asked, largest(_scale(host, request, located, method, None)))
        name, notes = best.name, (best.note,)
    scheduler = choose_scheduler(host, located, name, request.scheduler_options)
    free = located.variant.guidance_kind == "classifier-free"
    scale = _scale(host, request, located, method, scheduler.name) if free else 1.0
    scheduler = guarded_for(scheduler, request.scheduler_options, largest(scale))
    part = canvas.strength not in (None, 1.0) and request.strength_mode == "cut"
    adaptive = scheduler.scheduler.adaptive
    steps = choose_steps(request.steps, request.sigmas, located.variant, adaptive=adaptive, part=part)
    counts = choose_part(steps, request.sigmas, canvas.strength, request.strength_mode)
    opening.check("steps", counts.laid_out)
    with plugin_call(checkpoint):
        if isinstance(checkpoint, ShiftsBySteps):
            shift: float | None = checkpoint.shift_for(*canvas.shown, counts.laid_out)
        else:
            shift = checkpoint.shift(*canvas.shown)
    measured = located.checkpoint is not None and located.checkpoint.measured_grids
    sigmas = choose_sigmas(
        host,
        scheduler,
        replace(checkpoint.noise, own=None) if measured else checkpoint.noise,
        counts.laid_out,
        sigmas=request.sigmas,
        options=request.sigma_options,
        final=request.final,
        shift=shift,
    )
    making = partial(lay_out, scheduler, sigmas, checkpoint.noise, counts, located)
    on_grid = located.variant.on_grid
    plan = known.plans(scheduler.scheduler, sigmas, checkpoint.noise, counts, on_grid=on_grid, lay_out=making)
    if not strict:
        return LaidOut(plan, steps, scheduler, sigmas, notes=scheduler.notes)
    if request.scheduler is None:
        scale = largest(_scale(host, request, located, method, None))
        notes = better_note(host, located, scheduler.name, len(plan), scale)

    def find() -> Idle:
        return find_idle(scheduler, sigmas, lambda made, grid: lay_out(made, grid, checkpoint.noise, counts, located))

    idle = known.idle(plan, sigmas, counts, on_grid=on_grid, find=find)
    return LaidOut(plan, steps, *idle.reset(scheduler, sigmas), idle=idle, notes=(*notes, *scheduler.notes))


def _guidance_options(
    host: PluginHost, request: GenerationRequest, located: Located, method: ChosenMethod, laid_out: LaidOut
) -> GuidanceOptions:
    scheduler = None if laid_out.scheduler is None else laid_out.scheduler.name
    return GuidanceOptions(
        guidance=_scale(host, request, located, method, scheduler),
        negative=request.negative,
        guidance_rescale=request.guidance_rescale,
        guidance_interval=request.guidance_interval,
        skip_layers=request.skip_layers,
        skip_layer_scale=request.skip_layer_scale,
        skip_layer_interval=request.skip_layer_interval,
    )


def _scale(
    host: PluginHost, request: GenerationRequest, located: Located, method: ChosenMethod, scheduler: str | None
) -> float | Curve:
    """The scale is the request's, else the method's, the scheduler's, the model's own or the variant's."""
    wanted: list[float | Curve | None] = [request.guidance]
    if located.variant.guidance_kind == "classifier-free":
        wanted.append(method.spec.guidance)
        wanted.append(None if scheduler is None else host.schedulers[scheduler].guidance)
    wanted += [located.guidance, located.variant.guidance]
    return next(scale for scale in wanted if scale is not None)


def _absolute(file: str | None) -> str | None:
    return None if file is None else str(Path(file).expanduser().resolve())
