"""Writes docs/schedulers.md: ``python -m latentry.testing.report [PATH] [--check]``.

It lists the schedulers of the distributions named ``latentry-…``; with ``--check`` it measures and writes nothing, and
the exit code is 1 if the page is about other schedulers or revisions than those installed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from latentry._discovery import PluginHost
from latentry._specs import SchedulerSpec, SigmaPreference
from latentry.testing._measuring._bench import EVALUATIONS, Bench, Measured
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
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the page or checks it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m latentry.testing.report", description="Measure the schedulers.")
    parser.add_argument("path", nargs="?", type=Path, default=PAGE)
    parser.add_argument("--check", action="store_true", help="only check whether the page is up to date")
    given = parser.parse_args(arguments)
    host = PluginHost()
    if given.check:
        return _check(given.path, host)
    given.path.write_text(page(host), encoding="utf-8")
    return 0


def _check(path: Path, host: PluginHost) -> int:
    current = path.is_file() and stamp(host) in path.read_text(encoding="utf-8")
    if not current:
        print(f"{path} is out of date; run python -m latentry.testing.report {path}")
    return 0 if current else 1


def stamp(host: PluginHost) -> str:
    """What the page is of: schedulers and revisions, in a comment."""
    known = ", ".join(f"{name} {spec.revision}" for name, spec in _ours(host).items())
    return f"<!-- {known} -->"


def page(host: PluginHost) -> str:
    """The whole page, in Markdown."""
    ours, bench = _ours(host), Bench(host)
    measured: dict[str, tuple[Measured, ...]] = {}
    for name in ours:
        print(f"measuring {name}", file=sys.stderr, flush=True)
        measured[name] = tuple(bench.measure(name))
    parts = [ABOUT + "\n" + stamp(host), _overview(ours, measured)]
    parts += [_process(kind, title, measured) for kind, title in TITLES.items()]
    parts += [_defaults(ours), _names(ours)]
    return "\n\n".join(parts) + "\n"


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
