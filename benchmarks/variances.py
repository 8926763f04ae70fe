"""The variance that stochastic schedulers' defaults end with on Gaussian data, without chance.

OMP_NUM_THREADS=1 python benchmarks/variances.py [--schedulers dpmpp-2m-sde,seeds-2] [--json]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import NamedTuple

import torch

from latentry import LatentryError, Plan, PluginHost, ProcessKind
from latentry.testing._default_plans import default_plan, preferred
from latentry.testing._measuring._cells import most_steps
from latentry.testing._networks._moments import kept_variance
from latentry.testing._networks._processes import process
from latentry.testing._subject import Subject

GAUSSIANS = torch.tensor((0.1, 0.5, 2.0), dtype=torch.float64)
"""Variances of the data, each of which is measured apart."""
PLACES: tuple[tuple[ProcessKind, float], ...] = (("vp", 1.0), ("flow", 1.0), ("flow", 3.0), ("edm", 1.0))
BOUNDS = {10: 0.15, 20: 0.05, 40: 0.05}
"""By evaluations: how far off the variance may be, for schedulers of the second weak order."""


class Cell(NamedTuple):
    """A scheduler's defaults in so many evaluations.

    Attributes:
        scheduler: its name.
        order: its weak order.
        process, shift: of the checkpoint.
        evaluations: how many it may spend.
        off: variance ÷ the data's − 1, by Gaussian.
    """

    scheduler: str
    order: int
    process: ProcessKind
    shift: float
    evaluations: int
    off: tuple[float, ...]

    @property
    def worst(self) -> float:
        """The largest, by size."""
        return max(self.off, key=abs)

    @property
    def held(self) -> bool:
        """Whether it is within the bound, or need not be."""
        return self.order < 2 or abs(self.worst) <= BOUNDS[self.evaluations]


def main() -> None:
    """Prints a line for each scheduler and process, and what is out of bounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedulers", default="")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    host, found = PluginHost(), []
    for name in given.schedulers.split(",") if given.schedulers else stochastic(host):
        for kind, shift in PLACES:
            if kind in host.schedulers[name].processes:
                row = list(measured(host, name, kind, shift))
                found += row
                if not given.json:
                    print(told(row), flush=True)
    print(json.dumps([cell._asdict() for cell in found]) if given.json else summary(found))


def stochastic(host: PluginHost) -> list[str]:
    """Those whose variance is to be right: not distilled models' own, nor those that need more than an output."""
    specs = {name: host.schedulers[name] for name in host.schedulers}
    exempt = {name for name, spec in specs.items() if "variance" in dict(spec.exemptions)}
    return [name for name, spec in specs.items() if spec.stochastic and not spec.needs and name not in exempt]


def measured(host: PluginHost, name: str, kind: ProcessKind, shift: float) -> Iterator[Cell]:
    """The cells by evaluations."""
    subject, on = Subject.of(name, host=host), process(kind)

    def laid_out(steps: int) -> Plan | None:
        preference = preferred(subject, steps, on)
        try:
            return default_plan(subject, preference, steps, on, shift=shift, guidance=1.0) if preference else None
        except LatentryError:
            return None

    for evaluations in BOUNDS:
        try:
            plan = most_steps(laid_out, evaluations)
        except ValueError:  # restart's steps take twelve
            continue
        off = kept_variance(plan, GAUSSIANS) - 1.0
        yield Cell(name, subject.spec.order, kind, shift, evaluations, tuple(off.tolist()))


def told(row: list[Cell]) -> str:
    """One line of text."""
    cells = "  ".join(
        f"{cell.evaluations}: {'/'.join(f'{each:+.3f}' for each in cell.off)}{' ' if cell.held else '!'}"
        for cell in row
    )
    return f"{row[0].scheduler:22} {row[0].process:5}{row[0].shift:g}  {cells}"


def summary(found: list[Cell]) -> str:
    """What is out of bounds, of those of the second order."""
    second = [cell for cell in found if cell.order >= 2]
    over = [cell for cell in second if not cell.held]
    names = (f"{c.scheduler} {c.process}{c.shift:g} @{c.evaluations} {c.worst:+.3f}" for c in over)
    return "\n".join((f"out of bounds (15 % at 10, 5 % from 20 on): {len(over)} of {len(second)}", *names))


if __name__ == "__main__":
    main()
