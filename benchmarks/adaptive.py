"""UniPC with steps of its own choice beside UniPC on its default grid, at the same number of evaluations.

OMP_NUM_THREADS=1 python benchmarks/adaptive.py --seed 2026 --targets 40 [--json]
"""

from __future__ import annotations

import argparse
import json

import torch

from latentry import PluginHost, ProcessKind
from latentry.testing._default_plans import NATURAL
from latentry.testing._measuring._cells import Drawn, Setting
from latentry.testing._networks._processes import process

EVALUATIONS = (10, 15, 20)
GUIDANCE = (1.0, 2.0, 3.0)


def main() -> None:
    """Prints median and root mean square of the errors, as parts of the signal's size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--targets", type=int, default=40)
    parser.add_argument("--rtol", type=float, default=0.02)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    host, rows = PluginHost(), []
    kinds: tuple[ProcessKind, ...] = ("vp", "flow", "edm")
    for kind in kinds:
        for count in EVALUATIONS:
            targets = range(given.seed, given.seed + given.targets)
            fixed, chosen = zip(*(_errors(host, seed, kind, count, given.rtol) for seed in targets), strict=True)
            rows.append({"process": kind, "evaluations": count, "fixed": _told(fixed), "adaptive": _told(chosen)})
    print(json.dumps(rows) if given.json else "\n".join(map(str, rows)))


def _errors(host: PluginHost, seed: int, kind: ProcessKind, count: int, rtol: float) -> tuple[float, float]:
    scale = GUIDANCE[seed % len(GUIDANCE)]
    drawn = Drawn(host, seed, 1, guidance=(scale,), starts=1)
    adaptive = host.schedulers.create("unipc-adaptive", budget=count, rtol=rtol, atol=rtol / 6)
    plan = adaptive.plan(1, process=process(kind), prediction=NATURAL[kind])
    return float(drawn.errors("unipc", Setting(kind, count))), float(drawn.groups[0].errors(plan))


def _told(errors: tuple[float, ...]) -> dict[str, float]:
    found = torch.tensor(errors)
    return {"median": round(float(found.median()), 4), "rms": round(float(found.square().mean().sqrt()), 4)}


if __name__ == "__main__":
    main()
