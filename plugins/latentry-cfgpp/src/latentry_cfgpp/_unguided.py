"""What the four schedulers share: a step combines the guided x₀ with the unguided noise."""

from __future__ import annotations

from latentry import Denoised


def unguided(denoised: Denoised) -> Denoised:
    """The same evaluation without guidance, which these schedulers need (``needs``): a run refuses to go on without."""
    assert denoised.uncond is not None
    return denoised.uncond
