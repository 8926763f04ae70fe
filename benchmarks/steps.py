"""What a step costs beside the network: each scheduler against diffusers' of the same name.

A sample of 1×4×64×64 in float32 and 20 steps on Stable Diffusion's process. The network's output is one tensor that is
there already, and so is the noise, of which drawing alone would cost more than a step. Time of the process on one core,
the least of several runs, taken in turns, divided by the evaluations::

    OMP_NUM_THREADS=1 python benchmarks/steps.py

It needs ``latentry``, the schedulers' distributions and ``diffusers``; what is not installed is left out.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib import import_module
from typing import Any, Literal
from unittest.mock import patch

import torch
from torch import Tensor

from latentry import Plan, PluginHost, Prediction, VariancePreserving

SHAPE, STEPS = (1, 4, 64, 64), 20
PEERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {}),
    "ddpm": ("DDPMScheduler", {}),
    "deis": ("DEISMultistepScheduler", {"solver_order": 3}),
    "dpm2": ("KDPM2DiscreteScheduler", {}),
    "dpm2-ancestral": ("KDPM2AncestralDiscreteScheduler", {}),
    "dpmpp-2m": ("DPMSolverMultistepScheduler", {}),
    "dpmpp-2m-sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
    "dpmpp-3m": ("DPMSolverMultistepScheduler", {"solver_order": 3}),
    "dpmpp-3m-sde": ("DPMSolverMultistepScheduler", {"solver_order": 3, "algorithm_type": "sde-dpmsolver++"}),
    "er-sde": ("", {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler-ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "ipndm": ("IPNDMScheduler", {}),
    "lcm": ("LCMScheduler", {}),
    "lms": ("LMSDiscreteScheduler", {}),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}),
    "res-2m": ("", {}),
    "res-2s": ("", {}),
    "sa-solver": ("SASolverScheduler", {}),
    "tcd": ("TCDScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {}),
}
"""Our name, and diffusers' class with its options; no class where diffusers has none."""
WAYS = ("generators", "exact", "fused", "exact, no guard", "fused, no guard")
"""Ours, in µs: the step generators, the table with the same bits, and that with the fewest terms."""
GOAL, GOALS, MICROSECONDS = 0.2, {"unipc": 0.1, "deis": 0.1, "lms": 0.1, "pndm": 0.25}, ("er-sde", "sa-solver")
"""Of diffusers' time; for some 50 µs."""
TRAINED = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
Sampling = Callable[[], float]
"""Samples once and returns the seconds that an evaluation took."""


def main() -> None:
    """Measures every scheduler and prints a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="schedulers; all by default")
    parser.add_argument("--repeats", type=int, default=30, help="runs of each; the fastest counts")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = list(measured(given.names or list(PEERS), given.repeats))
    print(json.dumps(rows, indent=2) if given.json else table(rows))


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """The figures as Markdown."""
    lines = [
        f"| scheduler | {' | '.join(WAYS)} | diffusers | exact / diffusers | fused / diffusers | goal |",
        f"|{'---|' * (len(WAYS) + 5)}",
    ]
    for row in rows:
        peer, name = row["diffusers"], row["scheduler"]
        own = [f"{row[way]:.0f}" if way in row else "" for way in WAYS]
        # the guard is ours alone: beside theirs stand steps without it
        lone = [row.get(f"{way}, no guard", row[way]) for way in ("exact", "fused")]
        goal = "50 µs" if name in MICROSECONDS else f"{GOALS.get(name, GOAL):.2f}"
        last = ["–"] * 3 if peer is None else [f"{peer:.0f}", *(f"{time / peer:.2f}" for time in lone)]
        lines.append(f"| {' | '.join([name, *own, *last, goal])} |")
    return "\n".join(lines)


def measured(names: list[str], repeats: int) -> Iterator[dict[str, Any]]:
    """One row for each scheduler, in microseconds an evaluation."""
    host = PluginHost()
    for name in names:
        if name not in host.schedulers:
            continue
        plan = planned(host, name)
        ways = {
            "generators": partial(ours, plan, table=False),
            **walks(plan, ""),
            **(walks(planned(host, name, guard=False), ", no guard") if guarded(plan) else {}),
        }
        class_name, options = PEERS.get(name, ("", {}))
        if class_name:
            ways["diffusers"] = theirs(class_name, options)
        yield {"scheduler": name, "diffusers": None, **in_turns(ways, repeats)}


def walks(plan: Plan, ending: str) -> dict[str, Sampling]:
    """A run of each table of a plan."""
    plan.table()
    plan.table(fused=True)
    return {f"exact{ending}": partial(ours, plan, table=True), f"fused{ending}": partial(ours, plan, table="fused")}


def guarded(plan: Plan) -> bool:
    """Whether a guard looks at some of its steps."""
    table = plan.table()
    return bool(table) and any(
        "guard" in type(each).__name__.lower() for step in table.steps for each in step.operations
    )


def planned(host: PluginHost, name: str, **options: Any) -> Plan:
    """The scheduler with its defaults, on an even grid for all."""
    scheduler = host.schedulers.create(name, **options)
    leading = host.sigma_schedules.create("trailing")
    return scheduler.plan(STEPS, process=VariancePreserving.from_betas(), prediction=Prediction.EPSILON, sigmas=leading)


def in_turns(ways: dict[str, Sampling], repeats: int) -> dict[str, float]:
    """The least time of each, in microseconds an evaluation."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(repeats):
        for name, sample in ways.items():
            best[name] = min(best[name], sample() * 1e6)
    return best


OUTPUT = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
NOISE = torch.randn(SHAPE, generator=torch.Generator().manual_seed(2))


def drawn(*_: Any, **__: Any) -> Tensor:
    """Noise that costs nothing."""
    return NOISE


def ours(plan: Plan, *, table: bool | Literal["fused"]) -> float:
    """One run."""
    begin, evaluations = time.process_time(), 0
    run = plan.start(OUTPUT, noise=drawn, table=table)
    while (query := run.query) is not None:
        _ = query.input
        run.advance(OUTPUT)
        evaluations += 1
    return (time.process_time() - begin) / evaluations


def theirs(class_name: str, options: dict[str, Any]) -> Sampling:
    """diffusers' loop without ``set_timesteps``; its noise is replaced where its module draws it."""
    import diffusers

    made = getattr(diffusers, class_name)
    scheduler = made(**options) if class_name == "IPNDMScheduler" else made(**TRAINED, **options)
    module = import_module(made.__module__)

    def sample() -> float:
        scheduler.set_timesteps(STEPS)
        with warnings.catch_warnings(), patch.object(module, "randn_tensor", drawn, create=True):
            warnings.simplefilter("ignore")
            begin, x = time.process_time(), OUTPUT
            for t in scheduler.timesteps:
                _ = scheduler.scale_model_input(x, t)
                x = scheduler.step(OUTPUT, t, x).prev_sample
            return (time.process_time() - begin) / len(scheduler.timesteps)

    return sample


if __name__ == "__main__":
    main()
