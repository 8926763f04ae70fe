"""What the core itself registers, through its own entry point: the spacings of discrete timesteps."""

from __future__ import annotations

from collections.abc import Iterable

from latentry._specs import ProcessKind, SigmaScheduleSpec
from latentry.hookspecs import hookimpl

_LIN = "Lin et al. 2023, arXiv:2305.08891, table 2"
_DISCRETE = frozenset[ProcessKind]({"vp"})


@hookimpl
def latentry_sigma_schedules() -> Iterable[SigmaScheduleSpec]:
    """Leading, linspace and trailing."""
    for name, summary in (
        ("leading", "every ⌊T/N⌋-th timestep from the clean end; Stable Diffusion's own grid"),
        ("linspace", "evenly from the noisiest timestep to the cleanest, both included"),
        ("trailing", "every T/N-th timestep from the noisy end; for few steps and zero terminal SNR"),
    ):
        yield SigmaScheduleSpec(
            name=name,
            target=f"latentry._numerics._spacings:{name.capitalize()}",
            summary=summary,
            citation=_LIN,
            processes=_DISCRETE,
            variant="diffusers",
        )
