"""Each fault that peers carry, planted in a copy of our own plugin, is caught; the copy without it passes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

from latentry import Flow, SchedulerSpec
from latentry.testing import Subject, check_scheduler, check_sigma_schedule

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Fault:
    """An edit of one line.

    Attributes:
        package: what is copied.
        file: where the line stands.
        right: the line, or a part of it, that stands there once.
        wrong: what is put in its place.
        name: the scheduler, or the sigma schedule's ``module:class``.
        caught: checks that must fail.
    """

    package: str
    file: str
    right: str
    wrong: str
    name: str
    caught: frozenset[str]


FAULTS = {
    "3M with its second difference halved": Fault(
        "latentry_dpmpp",
        "_rules.py",
        'return exponential_weights if variant == "exact" else _halved',
        "return _halved",
        "dpmpp-3m",
        frozenset({"coefficients", "convergence"}),
    ),
    "3M SDE with the sign of its ½ turned": Fault(
        "latentry_dpmpp",
        "_rules.py",
        'return exponential_weights if variant == "exact" else _halved',
        "return _turned",
        "dpmpp-3m-sde",
        frozenset({"variance"}),
    ),
    "bh1 with ∞ times 0 at the end": Fault(
        "latentry_unipc",
        "scheduler.py",
        "return denoised.at(end), Past(nodes)",
        'return denoised.at(end) + (0.0 * interval.h if self.variant == "bh1" else 0.0), Past(nodes)',
        "unipc",
        frozenset({"arrival", "edges"}),
    ),
    "the last sigma repeated": Fault(
        "latentry_deis",
        "scheduler.py",
        "start, end = interval.start, interval.end\n        denoised",
        "start = interval.start\n        end = interval.end if interval.end.sigma > 0.0 else start\n        denoised",
        "deis",
        frozenset({"arrival"}),
    ),
    "variance-exploding noise on flow": Fault(
        "latentry_euler_ancestral",
        "scheduler.py",
        "fresh, interval, noise)",
        "fresh / max(interval.end.alpha, 1e-3), interval, noise)",
        "euler-ancestral",
        frozenset({"variance", "one_answer"}),
    ),
    "model time truncated to integers": Fault(
        "latentry_euler",
        "scheduler.py",
        "raised.query(x)",
        "raised.query(x, timestep=float(int(raised.timestep)))",
        "euler",
        frozenset({"model_time"}),
    ),
    "the shift applied twice": Fault(
        "latentry._numerics._grids",
        "_even.py",
        "return tuple(at_fraction(process, (pieces - i) / pieces) for i in range(steps))",
        "from latentry._numerics._grids._shift import shifted\n        return tuple("
        "shifted(at_fraction(process, (pieces - i) / pieces), self.shift, process) for i in range(steps))",
        "_even:Normal",
        frozenset({"shift"}),
    ),
    "Karras sigmas used raw on flow": Fault(
        "latentry._numerics._grids",
        "_ranged.py",
        'at = process.customary if self.variable == "t" else _at_s(process)',
        "at = lambda s: Point(-math.log(s), 1.0 - s, s, 1000.0 * s)",
        "_rules._karras:Karras",
        frozenset({"levels"}),
    ),
}
TURNED = """

def _turned(lams, start, end, rate):
    # the second difference is weighed by (1 - e^-z - z)/z² + ½ with z = rate·h; here that ends in - ½
    weights = _halved(lams, start, end, rate)
    if len(lams) < 3:
        return weights
    a, b, c = ((lam - start) / (end - start) for lam in lams)
    difference = (1 / ((a - b) * (a - c)), 1 / ((b - a) * (b - c)), 1 / ((c - a) * (c - b)))
    return tuple(w - d for w, d in zip(weights, difference, strict=True))
"""


@pytest.fixture
def copied(tmp_path: Path) -> Iterator[Path]:
    """A folder that modules can be imported from."""
    before = set(sys.modules)
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path.remove(str(tmp_path))
    for name in set(sys.modules) - before:
        if name.startswith("copy_of_"):
            del sys.modules[name]


def copy(folder: Path, fault: Fault, *, planted: bool) -> ModuleType:
    """The package under another name, with the fault or without."""
    found = find_spec(fault.package)
    assert found is not None
    assert found.origin is not None
    name = f"copy_of_{fault.package.replace('.', '_')}"
    (folder / name).mkdir()
    origin = Path(found.origin).parent
    for source in origin.rglob("*.py"):
        text, copied = source.read_text(encoding="utf-8"), folder / name / source.relative_to(origin)
        copied.parent.mkdir(exist_ok=True)
        if source.name == fault.file:
            assert text.count(fault.right) == 1, "the line has changed: plant the fault anew"
            text = text.replace(fault.right, fault.wrong) if planted else text
            text += TURNED if "_turned" in text else ""
        copied.write_text(text.replace(fault.package, name), encoding="utf-8")
    return import_module(name)


def failed(package: ModuleType, fault: Fault) -> set[str]:
    """The checks that a copy fails, of those that matter."""
    if ":" in fault.name:
        module, _, rule = fault.name.partition(":")
        results = check_sigma_schedule(getattr(import_module(f"{package.__name__}.{module}"), rule)(), Flow())
        return {result.check for result in results if not result.passed}
    specs: dict[str, SchedulerSpec] = {spec.name: spec for spec in package.latentry_schedulers()}
    return {r.check for r in check_scheduler(Subject.of(specs[fault.name]), sorted(fault.caught)) if not r.passed}


@pytest.mark.parametrize("what", FAULTS)
def test_the_fault_is_caught(copied: Path, what: str) -> None:
    assert failed(copy(copied, FAULTS[what], planted=True), FAULTS[what]) >= FAULTS[what].caught


@pytest.mark.parametrize("what", FAULTS)
def test_without_it_the_copy_passes(copied: Path, what: str) -> None:
    assert failed(copy(copied, FAULTS[what], planted=False), FAULTS[what]) == set()
