"""Writes docs/schedulers.md: ``python -m latentry.testing.report [PATH] [--check]``.

It lists the schedulers of the distributions named ``latentry-…``; with ``--check`` it writes nothing, and the exit code
is 1 if the page is about other schedulers or revisions than those installed, or if its figures are not those of today.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from latentry._discovery import PluginHost
from latentry._specs import ProcessKind, SchedulerSpec, SigmaPreference
from latentry.testing._measuring._bench import EVALUATIONS, Bench, Measured
from latentry.testing._measuring._cells import Drawn, Setting, geometric
from latentry.testing._measuring._tables import ORACLES, READING, figures, order_text

PAGE = Path("docs/schedulers.md")
TITLES = {"vp": "Variance preserving", "flow": "Rectified flow", "edm": "EDM"}
ABOUT = f"""# Schedulers, measured

Written by `python -m latentry.testing.report`: every figure is measured with networks that are exactly right, each
scheduler under its own default options on its own default sigma schedule. `latentry schedulers --verbose` measures
whatever is installed in the same way.

The oracles are a mixture of three Gaussians in the plane, and a Gaussian with the spectrum of images (256 modes of
variance proportional to 1/k²). Deterministic schedulers are held against the end of the exact path at σ = 0, begun with
the noise a generation begins with at the level of their first step; of stochastic ones the variance of the result is
computed, without chance, on the spectrum and on Gaussians of variance 0.1, 0.5 and 2. Where no number of steps takes
exactly so many evaluations, the most steps that take fewer are used. A scheduler that chooses its own steps has no such
figures.

{READING}

![Error against evaluations on a variance-preserving process](images/schedulers-vp.svg)
![Error against evaluations on a rectified flow](images/schedulers-flow.svg)
![Error against evaluations on a rectified flow with time shift 3](images/schedulers-flow-3.svg)
![Error against evaluations on EDM](images/schedulers-edm.svg)

The plots show the geometric mean of the error on targets drawn by a seed, held out: without guidance, and guided at 2
to 9. Solid lines are Latentry's defaults. Dashed ones are diffusers' own schedulers, run on the same targets: UniPC and
DPM++ 2M under their default options, and the best at each number of evaluations of both in order 2 and 3 on every grid
they have for the process, which nobody knows beforehand.

![Distance from the exact latents against evaluations on four shipped models](images/schedulers-networks.svg)

The same on the shipped networks at their own guidance, where nothing but a long run is exact: the median distance from
the latents that UniPC of order 3 reaches in 40 steps even in λ. `python scripts/scheduler_plots` draws both kinds.
"""
PLACES: Mapping[str, tuple[ProcessKind, float]] = {
    "Variance preserving": ("vp", 1.0),
    "Rectified flow": ("flow", 1.0),
    "Rectified flow, time shift 3": ("flow", 3.0),
    "EDM": ("edm", 1.0),
}
CHOSEN_ON, HELD_OUT, TARGETS = 2026, 58203, 12
"""Seeds of targets, and how many of each."""
ON_DRAWN = f"""## Targets drawn by a seed

Mixtures of five Gaussians in 24 dimensions with the spectrum of images, six of seven guided, at 2 to 15. The grids
were fitted on targets of the seeds 100, 4100, {CHOSEN_ON} and others, and not on those of seed {HELD_OUT}, which were
drawn when the grids stood. Each cell is the geometric mean of the error, as a part of the signal, on those of
{CHOSEN_ON} / of {HELD_OUT}; in parentheses, that on the latter as a part of the same scheduler's without guard on the
grid that checkpoints come with (linspace, trailing, Karras). UniPC's grids on VP and on flow were fitted to shipped
networks as well.
`python benchmarks/defaults.py` measures any other seed."""
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?")
CLOSE = 0.06
"""How far a figure on the page may be from the one that is measured: both have two digits."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the page or checks it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m latentry.testing.report", description="Measure the schedulers.")
    parser.add_argument("path", nargs="?", type=Path, default=PAGE)
    parser.add_argument("--check", action="store_true", help="only check whether the page is up to date")
    parser.add_argument("--only", metavar="NAMES", help="with --check: measure these alone, separated by commas")
    given = parser.parse_args(arguments)
    host = PluginHost()
    if given.check:
        return _check(given.path, host, given.only.split(",") if given.only else list(_ours(host)))
    given.path.write_text(page(host), encoding="utf-8")
    return 0


def _check(path: Path, host: PluginHost, names: Sequence[str]) -> int:
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    wrong = [] if stamp(host) in text else ["it is about other schedulers or revisions"]
    if not wrong:
        there = figures_on(text)
        now = figures_on("\n\n".join(_measured(host, names)))
        wrong += [" > ".join(where) for where, found in now.items() if not _close(found, there.get(where, ()))]
    if wrong:
        print(f"{path} is out of date; run python -m latentry.testing.report {path}", *wrong, sep="\n  ")
    return 1 if wrong else 0


def figures_on(text: str) -> dict[tuple[str, str, str], tuple[float, ...]]:
    """The numbers of each row of a page's tables, by heading, caption and scheduler."""
    found, heading, caption = {}, "", ""
    for line in text.splitlines():
        if line.startswith("## "):
            heading, caption = line[3:], ""
        elif line.startswith("| "):
            _, name, *cells = line.split("|")
            found[heading, caption, name.strip()] = tuple(map(float, NUMBER.findall(" ".join(cells))))
        elif line:
            caption = line
    return found


def _close(now: Sequence[float], there: Sequence[float]) -> bool:
    """Steps of DDIM are whole numbers, and where two curves nearly touch they are the coarsest figure here."""
    return len(now) == len(there) and all(
        math.isclose(a, b, rel_tol=CLOSE, abs_tol=1e-9) or (a >= 5 and abs(a - b) <= 1.0)
        for a, b in zip(now, there, strict=True)
    )


def stamp(host: PluginHost) -> str:
    """What the page is of: schedulers and revisions, in a comment."""
    known = ", ".join(f"{name} {spec.revision}" for name, spec in _ours(host).items())
    return f"<!-- {known} -->"


def page(host: PluginHost) -> str:
    """The whole page, in Markdown."""
    ours = _ours(host)
    parts = [ABOUT + "\n" + stamp(host), *_measured(host, list(ours)), _defaults(ours), _names(ours)]
    return "\n\n".join(parts) + "\n"


def _measured(host: PluginHost, names: Sequence[str]) -> Iterator[str]:
    """The sections with figures."""
    ours, bench = {name: host.schedulers[name] for name in names}, Bench(host)
    measured: dict[str, tuple[Measured, ...]] = {}
    for name in ours:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        measured[name] = tuple(bench.measure(name))
    yield _overview(ours, measured)
    yield from _drawn(host, ours)
    for kind, title in TITLES.items():
        yield _process(kind, title, measured)


def _drawn(host: PluginHost, ours: Mapping[str, SchedulerSpec]) -> Iterator[str]:
    """Deterministic schedulers on targets drawn by a seed."""
    yield ON_DRAWN
    known, held = Drawn(host, CHOSEN_ON, TARGETS), Drawn(host, HELD_OUT, TARGETS)
    names = [name for name, spec in ours.items() if not (spec.stochastic or spec.adaptive or spec.needs)]
    columns = ("scheduler", *(f"{count} evaluations" for count in EVALUATIONS))
    for title, (kind, shift) in PLACES.items():
        body = []
        for name in names:
            print(f"measuring {name} on drawn targets, {title}", file=sys.stderr, flush=True)
            settings = [Setting(kind, count, shift) for count in EVALUATIONS]
            body.append((name, *(_drawn_cell(name, setting, known, held) for setting in settings)))
        yield f"{title}\n\n{_table(columns, body)}"


def _drawn_cell(name: str, setting: Setting, known: Drawn, held: Drawn) -> str:
    before, now, stock = known.errors(name, setting), held.errors(name, setting), held.stock(name, setting)
    ratio = float((now / stock).log().mean().exp())
    return f"{geometric(before):.2g} / {geometric(now):.2g} ({ratio:.2f})"


def _ours(host: PluginHost) -> dict[str, SchedulerSpec]:
    registry = host.schedulers
    return {name: registry[name] for name in registry if registry.provenance(name).distribution.startswith("latentry-")}


def _overview(ours: Mapping[str, SchedulerSpec], measured: Mapping[str, Iterable[Measured]]) -> str:
    columns = (
        "scheduler",
        "revision",
        "order",
        *(f"on {kind}" for kind in TITLES),
        "evaluations a step",
        "exempt from",
    )
    body = []
    for name, spec in ours.items():
        orders = {one.process: order_text(one.order) for one in measured[name]}
        declared = f"{spec.order}{' (weak)' if spec.stochastic else ''}"
        if spec.variable_order is not None:
            declared += f", {spec.variable_order} on uneven grids"
        found = (orders.get(kind, "-") for kind in TITLES)  # type: ignore[call-overload]
        exempt = "; ".join(f"{check}: {reason}" for check, reason in spec.exemptions)
        body.append((name, str(spec.revision), declared, *found, str(spec.evaluations or "varies"), exempt))
    return "## Orders, declared and measured\n\n" + _table(columns, body)


def _process(kind: str, title: str, measured: Mapping[str, Iterable[Measured]]) -> str:
    columns = ("scheduler", *(f"{count} evaluations" for count in EVALUATIONS))
    parts = [f"## {title}"]
    for error, oracles in ORACLES.items():
        for oracle, text in oracles.items():
            body = [
                (name, *figures(one, oracle))
                for name, found in measured.items()
                for one in found
                if one.process == kind and one.error == error and one.spent
            ]
            parts.append(f"Error of the {text}\n\n{_table(columns, body)}")
    return "\n\n".join(parts)


def _defaults(ours: Mapping[str, SchedulerSpec]) -> str:
    columns = ("scheduler", "process", "sigma schedules by the most steps they are for")
    body = [
        (name, kind, "; ".join(map(_preference, (p for p in spec.sigmas if kind in p.processes))))
        for name, spec in ours.items()
        for kind in TITLES
        if kind in spec.processes
    ]
    return "## Default sigma schedules\n\n" + _table(columns, body)


def _preference(preference: SigmaPreference) -> str:
    most = "beyond" if preference.max_steps is None else f"{preference.max_steps}:"
    options = ", ".join(f"{name} {value}" for name, value in preference.options)
    end = "" if preference.final == "zero" else ", to the table's end"
    return f"{most} {preference.name.partition(':')[2]}{f' ({options})' if options else ''}{end}"


def _names(ours: Mapping[str, SchedulerSpec]) -> str:
    columns = ("scheduler", "elsewhere", "differs")
    body = []
    for name, spec in ours.items():
        for peer, known in groupby(spec.peers, key=lambda one: one.peer):
            listed = list(known)
            called = ", ".join(word for one in listed for word in (one.name, *one.others))
            differs = "; ".join(dict.fromkeys(one.differs for one in listed if one.differs))
            body.append((name, f"{peer}: {called}", differs))
    return "## Names elsewhere\n\n" + _table(columns, body)


def _table(columns: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    return "\n".join(_lines(columns, body))


def _lines(columns: Sequence[str], body: Iterable[Sequence[str]]) -> Iterator[str]:
    for cells in (columns, ["---"] * len(columns), *body):
        yield f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    raise SystemExit(main())
