"""Everything about one scheduler."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from latentry._cli._listing._details import (
    listed,
    not_checked,
    pairs,
    print_facts,
    print_head,
    print_options,
    print_section,
)
from latentry._cli._listing._tables import Record, origin
from latentry._discovery import PluginHost
from latentry._errors import LatentryError
from latentry._specs import PeerName, SchedulerSpec, SigmaPreference

PROCESSES = {"vp": "variance preserving", "flow": "rectified flow", "edm": "EDM"}
"""Noise processes in words, the most usual first."""


def print_scheduler(host: PluginHost, item: Record) -> None:
    """Print what it is, its options, the sigma schedules that it prefers, and other programs' names."""
    name = item["select"]
    spec = host.schedulers[name]
    print_head(name, spec.summary, _prose(spec))
    print_facts(
        {
            "from": f"{origin(item)}, as {item['qualified']}; revision {spec.revision} of its numerics",
            "also": ", ".join(item["aliases"]),
            "source": spec.citation,
            "not checked": not_checked(spec),
        }
    )
    try:
        print_options(host.schedulers.load(name), "Options", "(--set NAME=VALUE)")
    except LatentryError as error:
        print_section(f"Its options cannot be read: {error.why or error.what}")
    _print_cases(spec)
    print_section("Sigma schedules that it prefers, by the model's noise process and the number of steps:")
    print_facts(dict(_preferences(spec.sigmas)))
    if spec.peers:
        print_section("Other programs' names, each of which can be given for it:")
        print_facts(dict(_peers(spec.peers)))


def _prose(spec: SchedulerSpec) -> str:
    kind = "Draws fresh noise at its steps (stochastic)" if spec.stochastic else "Deterministic"
    order = f"{'weak ' if spec.stochastic else ''}order {spec.order}"
    if spec.variable_order is not None:
        order += f" ({spec.variable_order} on uneven grids)"
    each = {0: "as many evaluations of the network as it chooses", 1: "one evaluation of the network"}
    evaluations = each.get(spec.evaluations, f"up to {spec.evaluations} evaluations of the network")
    where = listed([words for kind_, words in PROCESSES.items() if kind_ in spec.processes])
    parts = [f"{kind}; {order}; {evaluations} a step. For models with the noise process {where}."]
    if spec.adaptive:
        parts.append("It chooses its own steps.")
    if spec.guard_since is not None:
        parts.append("Long steps that extrapolate too far are drawn back (guard); not under other programs' names.")
    if spec.off_grid:
        it = f"With another value of {listed(spec.off_grid_by)}, it" if spec.off_grid_by else "It"
        parts.append(f"{it} evaluates between its grid's levels, which models distilled to few steps cannot answer.")
    if spec.needs:
        parts.append(f"It needs the network's output {listed(sorted(spec.needs))} as well as the guided one.")
    if spec.guidance is not None:
        parts.append(f"Without --guidance, the guidance scale is {spec.guidance:g}.")
    return " ".join(parts)


def _print_cases(spec: SchedulerSpec) -> None:
    if not spec.cases:
        return
    print_section("Under other options:")
    facts = {}
    for case in spec.cases:
        kind = "stochastic, weak " if case.stochastic else ""
        evaluations = f", {case.evaluations} evaluations a step" if case.evaluations > 1 else ""
        facts[pairs(case.options)] = f"{kind}order {case.order}{evaluations}"
    print_facts(facts)


def _preferences(preferences: Sequence[SigmaPreference]) -> Iterator[tuple[str, str]]:
    """For each noise process, or several that agree, the schedules and up to how many steps they hold."""
    by_process = {kind: [each for each in preferences if kind in each.processes] for kind in PROCESSES}
    for rows, kinds in groupby(sorted(by_process, key=lambda kind: repr(by_process[kind])), key=by_process.__getitem__):
        if rows:
            yield ", ".join(kinds), "; ".join(map(_preference, rows))


def _preference(preference: SigmaPreference) -> str:
    bound = "" if preference.max_steps is None else f"to {preference.max_steps} steps "
    options = f" ({pairs(preference.options)})" if preference.options else ""
    final = ", ending at the training table's last level" if preference.final == "table" else ""
    return f"{bound}{preference.name.rpartition(':')[2]}{options}{final}"


def _peers(peers: Sequence[PeerName]) -> Iterator[tuple[str, str]]:
    for program, names in groupby(sorted(peers, key=lambda peer: peer.peer), key=lambda peer: peer.peer):
        yield program, "; ".join(map(_peer, names))


def _peer(peer: PeerName) -> str:
    options = f" with {pairs(peer.options)}" if peer.options else ""
    differs = f" [{peer.differs}]" if peer.differs else ""
    return f"{', '.join((peer.name, *peer.others))}{options}{differs}"
