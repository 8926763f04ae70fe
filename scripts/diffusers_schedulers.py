"""What each scheduler class of the installed diffusers can do under Latentry: printed, or with ``--write`` put into the
data of ``latentry-bridge-diffusers``, which lists them without importing diffusers.

Each class is laid out on its own grid on each noise process that it has settings for, and run on a network that is
exactly right. The order is that of the scheduler here which bears the class's name.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers.schedulers.scheduling_utils import SchedulerMixin

from latentry import EDM, Flow, LatentryError, Plan, PluginHost, Prediction, Process, Scheduler, VariancePreserving
from latentry.testing import GaussianOracle, drive
from latentry_bridge_diffusers._fitting import kinds
from latentry_bridge_diffusers._inward import wrapped

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "plugins" / "latentry-bridge-diffusers" / "src" / "latentry_bridge_diffusers" / "schedulers.json"
PROCESSES: tuple[Process, ...] = (VariancePreserving.from_betas(), Flow(), EDM())
GRIDS = ("linspace", "leading", "trailing", "karras")
STEPS = 7


def classes() -> dict[str, type]:
    """The scheduler classes, by name."""
    found = {name: getattr(diffusers.schedulers, name, None) for name in dir(diffusers.schedulers)}
    kept = {n: c for n, c in found.items() if isinstance(c, type) and issubclass(c, SchedulerMixin)}
    return {name: cls for name, cls in sorted(kept.items()) if cls is not SchedulerMixin}


def short(name: str) -> str:
    """``euler-discrete`` of ``EulerDiscreteScheduler``."""
    words = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]+\d*[a-z]*|\d+", name.removesuffix("Scheduler"))
    return "-".join(words).lower()


def described(name: str, cls: type, host: PluginHost) -> dict[str, Any]:
    """The record's fields."""
    entry: dict[str, Any] = {"class": name, "sigmas": {}, "evaluations": 1, "stochastic": False, "off_grid": False}
    entry["order"] = next(
        (s.order for s in host.schedulers.values() for p in s.peers if name in (p.name, *p.others) and not p.options), 1
    )
    for process in PROCESSES:
        found = next(laid_out(cls, process, host), None)
        if found is None:
            continue
        grid, final, plan = found
        entry["sigmas"][process.kind] = [grid, final]
        entry["evaluations"] = max(entry["evaluations"], *(plan.evaluations_by_step or ()))
        entry["stochastic"] |= draws(plan)
        entry["off_grid"] |= plan.off_grid is not None
    return entry


def laid_out(cls: type, process: Process, host: PluginHost) -> Iterator[tuple[str, str, Plan]]:
    """The grids that the class can take on a process, its own default first."""
    if process.kind not in kinds(cls):
        return
    own = getattr(inspect.signature(cls).parameters.get("timestep_spacing"), "default", None)
    scheduler: Scheduler = wrapped(cls)()
    prediction = {"vp": Prediction.EPSILON, "flow": Prediction.FLOW, "edm": Prediction.EDM}[process.kind]
    for grid in sorted(GRIDS, key=lambda each: each != own):
        for final in ("zero", "table") if process.kind == "vp" else ("zero",):
            try:
                schedule = host.sigma_schedules.create(grid)
                plan = scheduler.plan(STEPS, process=process, prediction=prediction, sigmas=schedule, final=final)
                assert plan.queries
                ends = drive(plan, torch.zeros(2, 4, dtype=torch.float64), GaussianOracle().answer)
            except LatentryError:
                continue
            if bool(ends.isfinite().all()):
                yield grid, final, plan


def draws(plan: Plan) -> bool:
    """Whether the result depends on the noise."""
    ends = [drive(plan, torch.zeros(2, 4, dtype=torch.float64), GaussianOracle().answer, seed=seed) for seed in (1, 2)]
    return not torch.equal(*ends)


def main() -> None:
    """Print the data, or write it."""
    warnings.simplefilter("ignore")
    diffusers.utils.logging.set_verbosity_error()
    host = PluginHost()
    records = {short(name): described(name, cls, host) for name, cls in classes().items()}
    text = json.dumps({"diffusers": diffusers.__version__, "schedulers": records}, indent=1) + "\n"
    if "--write" in sys.argv[1:]:
        DATA.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
