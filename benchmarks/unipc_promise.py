"""UniPC in 8 steps against DDIM in 30 on a model: how far their latents lie from a 200-step high-order reference.

Every scheduler runs under its own defaults, from the same noise to the end of its run; the reference is UniPC of order
3 in steps even in λ, from that noise to σ = 0. A distance is the root mean square over one latent; the median over the
seeds counts, at guidance 1 and at the guidance that suits the model::

    OMP_NUM_THREADS=1 python benchmarks/unipc_promise.py --model shapes

Beside schedulers, ``tuned`` is the plan that ships with the model, on prompts and noises it was not fitted to, and
``former`` is UniPC as it was before it had a guard and its grids were fitted to drawn targets::

    OMP_NUM_THREADS=1 python benchmarks/unipc_promise.py --model shapes-flux --guidance own --compare tuned:8 former:8

It needs ``latentry``, the schedulers that are compared and the model's family.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from latentry import Engine, GenerationRequest, PluginHost

PROMPTS = (
    "a red circle on a white background",
    "a blue square on a black background",
    "a green triangle on a gray background",
    "a yellow cross left of a purple ring on a black background",
)
REFERENCE = {"scheduler": "unipc", "scheduler_options": {"order": 3}}
EVEN = {"sigmas": "exponential", "final": "zero"}
FROM_NOISE = {"sigmas": "receding", "sigma_options": {"end": 0.4, "top": 1000.0}}
"""Where the first level is pure noise, the second must be near it. `exponential` goes on at s = 15, and one step over
all that lies between is off by .03 on `shapes-flux` however many follow; from 1000 on, 200 steps agree with 400 of
`trailing` to .0006.
"""

FORMER = {
    ("vp", 5): ("beta", {"alpha": 0.8, "beta": 1.0}),
    ("vp", 8): ("polyexponential", {"rho": 0.92, "sigma_min": 0.07}),
    ("flow", 5): ("polyexponential", {"rho": 1.2, "sigma_min": 0.2, "sigma_max": 25.0}),
    ("flow", 8): ("polyexponential", {"rho": 1.0, "sigma_min": 0.1, "sigma_max": 30.0}),
}
"""UniPC's grids by process and steps, as of 83fc4a3d and until the guard came with 483ff5dc."""


def main() -> None:
    """Measures what was asked for, and prints it."""
    given = _parser().parse_args()
    engine = Engine(PluginHost())
    rows = [row for guidance in given.guidance for row in measure(engine, given, guidance)]
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    print("| guidance | scheduler | steps | median | mean | quartiles | better than the last |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        low, high = row["quartiles"]
        figures = f"{row['median']:.4f} | {row['mean']:.4f} | {low:.4f} to {high:.4f}"
        print(
            f"| {row['guidance']} | {row['scheduler']} | {row['steps']} | {figures} | {row['wins']} of {given.seeds} |"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", help="folder, or the name of an installed one; by default the installed default")
    parser.add_argument("--compare", nargs="+", default=["unipc:8", "ddim:30"], metavar="NAME:STEPS")
    parser.add_argument(
        "--guidance", nargs="+", type=_guidance, default=[1.0, None], help="scales; 'own' is what suits the model"
    )
    parser.add_argument("--prompt", nargs="+", default=PROMPTS, help="taken in turn, one for each seed")
    parser.add_argument("--seeds", type=int, default=32)
    parser.add_argument("--reference-steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", action="store_true")
    return parser


def _guidance(text: str) -> float | None:
    return None if text == "own" else float(text)


def measure(engine: Engine, given: argparse.Namespace, guidance: float | None) -> list[dict[str, Any]]:
    """One row for each scheduler."""
    prompts = tuple(given.prompt[seed % len(given.prompt)] for seed in range(given.seeds))
    common = {"prompt": prompts, "model": given.model, "guidance": guidance, "batch": given.batch, "seed": 0}
    common |= {"device": given.device, "dtype": "float32"}
    process = engine.prepare(GenerationRequest(**common)).plan.process
    levels = FROM_NOISE if process.noisiest.alpha == 0.0 else EVEN
    reference, scale = run(engine, {**common, **REFERENCE, **levels, "steps": given.reference_steps})
    distances: dict[str, list[float]] = {}
    for one in given.compare:
        latents, _ = run(engine, {**common, **asked(one, process.kind)})
        distances[one] = (latents - reference).square().flatten(1).mean(1).sqrt().tolist()
    return [row(one, found, distances[given.compare[-1]], scale) for one, found in distances.items()]


def asked(one: str, kind: str) -> dict[str, Any]:
    """What ``--compare`` asks for, on a noise process."""
    name, _, count = one.partition(":")
    steps = int(count)
    if name == "tuned":
        return {"plan": "tuned", "steps": steps}
    if name == "former":
        if (kind, steps) not in FORMER:
            raise SystemExit(f"{one}: the former grids are known for 5 and 8 steps.")
        sigmas, options = FORMER[kind, steps]
        grid = {"sigmas": sigmas, "sigma_options": options}
        return {"scheduler": "unipc", "scheduler_options": {"guard": False}, **grid, "steps": steps}
    return {"scheduler": name, "steps": steps}


def run(engine: Engine, request: Mapping[str, Any]) -> tuple[Tensor, float | None]:
    """The latents, begun from one standard normal noise for each seed; and the guidance they were made with."""
    wanted = GenerationRequest(**request)
    shape = engine.prepare(wanted).latent_shape
    noise = torch.stack(
        [torch.randn(shape, generator=torch.Generator().manual_seed(i)) for i in range(len(wanted.prompts))]
    )
    result = engine.generate(wanted, latents=noise)
    return result.latents.double(), result.recipes[0].request.guidance


def row(one: str, found: Sequence[float], last: Sequence[float], guidance: float | None) -> dict[str, Any]:
    """What is said of a scheduler."""
    name, _, steps = one.partition(":")
    low, median, high = statistics.quantiles(found, n=4)
    return {
        "guidance": guidance,
        "scheduler": name,
        "steps": int(steps),
        "median": median,
        "mean": statistics.mean(found),
        "quartiles": [low, high],
        "wins": sum(mine <= other for mine, other in zip(found, last, strict=True)),
    }


if __name__ == "__main__":
    main()
