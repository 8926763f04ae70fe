"""Makes a scheduler for a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latentry import Final, IncompatibleError, OptionError, PluginHost
from latentry.names import understand
from latentry.solvers import InitialNoise
from latentry_bridge_diffusers._scheduler import LatentryEtaScheduler, LatentryScheduler
from latentry_bridge_diffusers._training import KEYS, process_kind


def scheduler(
    name: str,
    pipeline: Any,
    *,
    sigmas: str | None = None,
    sigma_options: Mapping[str, Any] | None = None,
    final: Final | None = None,
    initial_noise: InitialNoise = "unit",
    seed: int | None = None,
    begins_late: bool | None = None,
    **options: Any,
) -> LatentryScheduler:
    """Makes an installed Latentry scheduler for a diffusers pipeline: ``pipe.scheduler = scheduler("unipc", pipe)``.

    Noise process, prediction type and time shift come from the scheduler that the pipeline has now.

    Args:
        name: any of the scheduler's names, including those in other programs, such as ``DPM++ 2M Karras``.
        pipeline: a diffusers pipeline, or a diffusers scheduler.
        sigmas: a sigma schedule by name; ``stock`` for the grid of the pipeline's present scheduler; None takes the one
            that the checkpoint demands, or else the scheduler's own preference.
        sigma_options: options of the sigma schedule.
        final: where a run ends: ``zero`` or ``table``.
        initial_noise: ``unit``, or ``sigma`` as diffusers' Euler scales it on linspace and trailing grids.
        seed: seeds the noise in pipelines that pass no generator (SD3, FLUX); None derives it from the first sample.
        begins_late: the pipeline cuts the list of timesteps, as image to image does; None tells it by its class. Where
            the first step takes fewer evaluations than the others, a run over the whole list then has a few too many.
        options: the scheduler's own options.

    Raises:
        UnknownName: no installed scheduler has that name; says what to install.
        OptionError: an option is unknown or out of range.
        IncompatibleError: the scheduler cannot be used in a pipeline, or not in this one.
    """
    replaced = getattr(pipeline, "scheduler", pipeline)
    host = PluginHost()
    meaning = understand(host, name)
    spec = host.schedulers[meaning.scheduler]
    options = {**meaning.options, **options}
    config = _training_of(replaced)
    _refuse(meaning.scheduler, spec, config["process"], pipeline)
    has_eta = "eta" in host.schedulers.load(meaning.scheduler).model_fields
    cls = LatentryEtaScheduler if has_eta else LatentryScheduler
    made: LatentryScheduler = cls(
        **config,
        scheduler=meaning.scheduler,
        scheduler_options=options,
        sigmas=sigmas or meaning.sigmas,
        sigma_options=dict(sigma_options or {}),
        final=final,
        initial_noise=initial_noise,
        seed=seed,
        begins_late=_begins_late(pipeline) if begins_late is None else begins_late,
    )
    mu = 1.0 if made.config["use_dynamic_shifting"] else None
    made.set_timesteps(10, mu=mu)  # refuse now, and not in the pipeline's loop
    return made


def _training_of(replaced: Any) -> dict[str, Any]:
    """What the configuration of the present scheduler says about the checkpoint."""
    config = getattr(replaced, "config", None)
    if not isinstance(config, Mapping):
        raise OptionError(
            f"{type(replaced).__name__} is not a diffusers pipeline or scheduler.",
            remedy="Give the pipeline: scheduler('unipc', pipe).",
        )
    if isinstance(replaced, LatentryScheduler):
        return {name: config[name] for name in ("process", "stock", *KEYS)}
    class_name = type(replaced).__name__
    plain = {key: value for key, value in config.items() if not key.startswith("_")}
    known = {key: plain[key] for key in KEYS if plain.get(key) is not None}
    if "flow_shift" in plain:  # what DPM++ and UniPC call the shift
        known.setdefault("shift", plain["flow_shift"])
    return {"process": process_kind(class_name, plain), "stock": {"class_name": class_name, "config": plain}} | known


def _refuse(name: str, spec: Any, process: str, pipeline: Any) -> None:
    if process not in spec.processes:
        raise IncompatibleError(
            f"The scheduler {name} cannot be used with this pipeline.",
            why=f"It works on {', '.join(sorted(spec.processes))} processes; the checkpoint's is {process}.",
            remedy="`latentry schedulers` lists what each scheduler works on.",
        )
    if spec.evaluations <= 1:
        return
    pipeline_does, other = "", ""
    if _blends(pipeline):
        pipeline_does, other = "changes the sample after each one", "a checkpoint trained for inpainting"
    elif getattr(pipeline, "guider", None) is not None:  # of modular pipelines
        pipeline_does, other = "counts them as steps, so that guidance would end early", "a pipeline without a guider"
    if pipeline_does:
        raise IncompatibleError(
            f"The scheduler {name} cannot be used with {type(pipeline).__name__}.",
            why=f"It evaluates the network more than once a step, and this pipeline {pipeline_does}.",
            remedy=f"Use a scheduler with one evaluation a step, such as unipc, or {other}.",
        )


def _begins_late(pipeline: Any) -> bool:
    return any(task in type(pipeline).__name__ for task in ("Img2Img", "ImageToImage", "Inpaint"))


def _blends(pipeline: Any) -> bool:
    """Whether the pipeline inpaints by blending: its network is not shown the mask."""
    if "Inpaint" not in type(pipeline).__name__:
        return False
    network = getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)
    autoencoder = getattr(pipeline, "vae", None)
    if network is None or autoencoder is None:
        return False
    latent = autoencoder.config.latent_channels
    return network.config.in_channels in (latent, 4 * latent)  # FLUX packs 2 x 2 latents into one token
