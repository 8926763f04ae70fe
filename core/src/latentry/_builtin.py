"""What the core itself registers, through its own entry point: sigma schedules, guidance, an executor."""

from __future__ import annotations

from collections.abc import Iterable

from latentry._specs import ALL_PROCESSES, ExecutorSpec, GuidanceSpec, ProcessKind, SigmaScheduleSpec
from latentry.hookspecs import hookimpl

_LIN = "Lin et al. 2023, arXiv:2305.08891, table 2"
_LEE = "Lee et al. 2024, Beta Sampling is All You Need, arXiv:2407.12173"
_AYS = "Sabour et al. 2024, Align Your Steps, arXiv:2404.14507"
_KARRAS = "Karras et al. 2022, arXiv:2206.00364, eq. 5"
_DPM = "Lu et al. 2022, DPM-Solver, arXiv:2206.00927, section 3.3"
_K_DIFFUSION = "Crowson et al., k-diffusion"
_LUO = "Luo et al. 2023, Latent Consistency Models, arXiv:2310.04378, section 4.3"
_REN = "Ren et al. 2024, Hyper-SD, arXiv:2404.13686"
_YIN = "Yin et al. 2024, DMD2, arXiv:2405.14867"
_MOVIE_GEN = "Polyak et al. 2024, Movie Gen, arXiv:2410.13720"

_VP = frozenset[ProcessKind]({"vp"})
_FLOW = frozenset[ProcessKind]({"flow"})
_TABLED = frozenset[ProcessKind]({"vp", "edm"})


@hookimpl
def latentry_sigma_schedules() -> Iterable[SigmaScheduleSpec]:
    """Even steps of time, rules between two noise levels, and tables."""
    yield from _even()
    yield from _ranged()
    yield from _shaped()


@hookimpl
def latentry_guidance() -> Iterable[GuidanceSpec]:
    """What a request gets that names no method."""
    yield GuidanceSpec(
        name="classifier-free",
        aliases=("cfg",),
        target="latentry._guidance._classifier_free:ClassifierFree",
        summary="away from the output without the prompt, in proportion to the scale; the default",
        citation="Ho and Salimans 2022, Classifier-Free Diffusion Guidance, arXiv:2207.12598",
    )


@hookimpl
def latentry_executors() -> Iterable[ExecutorSpec]:
    """Who draws a batch that names nobody."""
    yield ExecutorSpec(name="local", target="latentry._batch._local:LocalExecutor", summary="this process, one engine")


def _even() -> Iterable[SigmaScheduleSpec]:
    spacings, even = "_spacings", "_even"
    leading, uniform = "every ⌊T/N⌋-th timestep from the clean end", "evenly in time from the noisiest level down"
    yield _spec("leading", spacings, "Leading", f"{leading}; Stable Diffusion's own grid", _LIN, "diffusers", _VP)
    yield _spec("ddim-uniform", spacings, "Leading", f"{leading}, from timestep 1", _LIN, "CompVis, with N steps", _VP)
    yield _spec("linspace", spacings, "Linspace", f"{uniform} to the cleanest, both included", _LIN, "diffusers")
    few = "every T/N-th timestep from the noisy end; for few steps, zero terminal SNR and flow"
    yield _spec("trailing", spacings, "Trailing", few, _LIN, "diffusers", aliases=("sdxl-turbo", "lightning"))
    yield _spec("normal", even, "Normal", f"{uniform} to the cleanest; on flow 1 to 1/N", _K_DIFFUSION, "k-diffusion")
    sgm = "Stability AI, generative-models"
    yield _spec("sgm-uniform", even, "SGMUniform", f"{uniform}, the cleanest left out", sgm, "AUTOMATIC1111, ComfyUI")
    yield _spec("simple", even, "Simple", "every T/N-th level of the table, rounded to the noisy side", "", "ComfyUI")


def _ranged() -> Iterable[SigmaScheduleSpec]:
    k, log = "k-diffusion, diffusers", "_rules._exponential"
    yield _spec("karras", "_rules._karras", "Karras", "even in σ^(1/ρ), ρ = 7", _KARRAS, k)
    yield _spec("exponential", log, "Exponential", "even in log σ: uniform in λ", _DPM, k, aliases=("lu",))
    yield _spec("polyexponential", log, "Polyexponential", "a polynomial in log σ", _K_DIFFUSION, "k-diffusion")
    receding = "even in log σ, or in t in few steps, down to c/N"
    yield _spec("receding", "_rules._receding", "Receding", receding, "", "Latentry")
    sigmas = "σ at the quantiles of a beta distribution"
    forge = ("beta-a1111", "beta-forge", "beta-diffusers")
    yield _spec("beta-sigmas", "_rules._beta", "BetaSigmas", sigmas, _LEE, "AUTOMATIC1111, diffusers", aliases=forge)
    kl = "even in arctan σ"
    yield _spec("kl-optimal", "_rules._kl_optimal", "KLOptimal", kl, f"{_AYS}, theorem 3.1", "AUTOMATIC1111, ComfyUI")


def _shaped() -> Iterable[SigmaScheduleSpec]:
    times = "times at the quantiles of a beta distribution: many steps at both ends"
    yield _spec("beta", "_rules._beta", "Beta", times, _LEE, "the paper, ComfyUI", aliases=("beta-comfyui",))
    curve = "linear in t, then quadratic"
    yield _spec("linear-quadratic", "_rules._linear_quadratic", "LinearQuadratic", curve, _MOVIE_GEN, "Mochi", _FLOW)
    few = "evenly from the 50 timesteps that a distilled model knows"
    lcm = "LCM, TCD, diffusers"
    yield _spec("distilled", "_distilled", "Distilled", few, _LUO, lcm, _VP, aliases=("lcm", "tcd"))
    published, noisy = "_published", "every T/N-th timestep from the noisy end"
    yield _spec("hyper-sd", published, "HyperSD", f"{noisy}; one step at 800", _REN, "the authors", _VP, ("hyper",))
    yield _spec("dmd2", published, "DMD2", f"{noisy}; one step at 399", _YIN, "the authors", _VP)
    yield _spec("schnell", published, "Schnell", "1, …, 1/N without a time shift", "FLUX.1", "the authors", _FLOW)
    table, ays = "the authors' tables for SD 1.5, SDXL and SVD", "_rules._align_your_steps"
    yield _spec("align-your-steps", ays, "AlignYourSteps", table, _AYS, "the authors", _TABLED, aliases=("ays",))


def _spec(
    name: str,
    module: str,
    rule: str,
    summary: str,
    citation: str,
    variant: str,
    processes: frozenset[ProcessKind] = ALL_PROCESSES,
    aliases: tuple[str, ...] = (),
) -> SigmaScheduleSpec:
    return SigmaScheduleSpec(
        name=name,
        target=f"latentry._numerics._grids.{module}:{rule}",
        summary=summary,
        citation=citation,
        variant=variant,
        processes=processes,
        aliases=aliases,
    )
