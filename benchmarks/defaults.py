"""Schedulers' defaults on targets drawn by a seed, against the grid that a checkpoint comes with.

OMP_NUM_THREADS=1 python benchmarks/defaults.py --seed 2026 --targets 24 [--schedulers unipc,deis] [--json]
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator

import torch

from latentry import PluginHost
from latentry.testing._measuring._cells import Cells, Drawn, Setting

EVALUATIONS = (3, 4, 5, 6, 7, 8, 10, 12, 20, 40)
PLACES = (("vp", 1.0), ("flow", 1.0), ("flow", 3.0), ("flow", 6.0), ("edm", 1.0))


def main() -> None:
    """Prints a line for each scheduler and process: error ÷ stock by evaluations, then what the issue bounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--targets", type=int, default=24)
    parser.add_argument("--schedulers", default="")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    host = PluginHost()
    names = given.schedulers.split(",") if given.schedulers else deterministic(host)
    drawn, found = Drawn(host, given.seed, given.targets), []
    for name in names:
        for kind, shift in PLACES:
            if kind in host.schedulers[name].processes:
                row = [(count, cells) for count, cells in measured(drawn, name, kind, shift)]
                found += [line(name, kind, shift, count, cells) for count, cells in row]
                if not given.json:
                    print(told(name, kind, shift, row), flush=True)
    print(json.dumps(found) if given.json else summary(found))


def deterministic(host: PluginHost) -> list[str]:
    """Those that have one result, at any guidance."""
    specs = {name: host.schedulers[name] for name in host.schedulers}
    return [name for name, spec in specs.items() if not (spec.stochastic or spec.adaptive or spec.needs)]


def measured(drawn: Drawn, name: str, kind: str, shift: float) -> Iterator[tuple[int, Cells]]:
    """The cells by evaluations, where the scheduler can be laid out in so many."""
    for count in EVALUATIONS:
        yield count, drawn.cells(name, Setting(kind, count, shift))  # type: ignore[arg-type]


def line(name: str, kind: str, shift: float, count: int, cells: Cells) -> dict[str, float | str | int]:
    """What is known of a setting."""
    guided = cells.guidance > 1.0
    return {
        "scheduler": name,
        "process": kind,
        "shift": shift,
        "evaluations": count,
        "error": float(cells.error.log().mean().exp()),
        "ratio": cells.ratio,
        "worst": cells.worst,
        "guided": int(guided.sum()),
        "blown_up": int((cells.blown_up & guided).sum()),
    }


def told(name: str, kind: str, shift: float, row: list[tuple[int, Cells]]) -> str:
    """One line of text."""
    cells = "  ".join(f"{count}: {each.ratio:.2f} ({each.worst:.1f})" for count, each in row)
    return f"{name:20} {kind:5}{shift:g}  {cells}"


def summary(found: list[dict[str, float | str | int]]) -> str:
    """The measures over everything."""
    over = [each for each in found if float(each["ratio"]) > 1.05]
    wild = [each for each in found if float(each["worst"]) > 2.5 and int(each["evaluations"]) >= 5]
    guided, blown = (sum(int(each[key]) for each in found) for key in ("guided", "blown_up"))
    mean = math.exp(sum(math.log(float(each["ratio"])) for each in found) / len(found))
    return (
        f"error ÷ stock: {mean:.3f} over all; over 1.05 in {len(over)} of {len(found)} settings\n"
        f"a cell over 2.5 times the better of stock UniPC and DDIM: in {len(wild)} settings\n"
        f"blown up: {blown} of {guided} guided cells ({blown / guided:.2%})"
    )


if __name__ == "__main__":
    main()
