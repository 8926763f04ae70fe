"""The records of diffusers' scheduler classes, from data that ``scripts/diffusers_schedulers.py`` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files

from latentry import SchedulerSpec, SigmaPreference

_EXEMPT = (
    ("host_sync", "levels and timesteps are tensors there, and are read"),
    *(
        (check, "it works on grids of its own")
        for check in ("arrival", "coefficients", "convergence", "edges", "variance")
    ),
    *(
        (check, "it works on grids of its own")
        for check in ("evaluations", "noise", "off_grid", "one_answer", "model_time")
    ),
    *(
        (check, "it works on grids of its own")
        for check in ("determinism", "batch", "resume", "dtypes", "in_place", "table")
    ),
    ("stability", "diffusers has no guard"),
)


def records() -> Iterator[SchedulerSpec]:
    """One for each class; one that no noise process fits is refused wherever it is asked for."""
    text = files("latentry_bridge_diffusers").joinpath("schedulers.json").read_text(encoding="utf-8")
    for name, known in json.loads(text)["schedulers"].items():
        fits = known["sigmas"]
        yield SchedulerSpec(
            name=name,
            target=f"latentry_bridge_diffusers.inward:{known['class']}",
            summary=f"diffusers' {known['class']}" + ("" if fits else ", which is not for pictures made from noise"),
            citation="diffusers",
            processes=frozenset(fits),
            order=known["order"],
            variable_order=1,
            evaluations=known["evaluations"],
            stochastic=known["stochastic"],
            off_grid=known["off_grid"],
            sigmas=tuple(
                SigmaPreference(f"latentry:{grid}", final=final, processes=frozenset({kind}))
                for kind, (grid, final) in fits.items()
            )
            or (SigmaPreference("latentry:trailing"),),
            exemptions=_EXEMPT,
            unlisted=True,
        )
