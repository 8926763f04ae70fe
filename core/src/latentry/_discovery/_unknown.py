"""The error for a name that resolves to nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from latentry._discovery._kinds import Kind
from latentry._discovery._names import Names
from latentry._discovery._problems import Problem
from latentry._errors import UnknownName
from latentry._peers._directory import distributions
from latentry._peers._install import how_to_install


def known_distributions(kind: Kind[Any]) -> dict[str, str]:
    """First-party names of a kind and the distributions that provide them, installed or not."""
    return distributions(kind.attribute)


def unknown_name(
    kind: Kind[Any], name: str, names: Names[Any], problems: Iterable[Problem], left_out: frozenset[str]
) -> UnknownName:
    """An error that lists what there is, what is broken or switched off, what is near and what to install."""
    if name in names.contested:
        return _contested(kind, name, names)
    known = known_distributions(kind)
    near = _near(name, [*names.listed(), *names.aliases, *known])
    why = [f"Installed: {', '.join(names.listed()) or 'none'}."]
    why += _quarantined(name, known.get(name), problems)
    remedy = [f"Did you mean {' or '.join(repr(other) for other in near)}?"] if near else []
    remedy += _installable([name, *near], names, known, left_out)
    return UnknownName(
        f"There is no {kind.noun} '{name}'.",
        why="\n".join(why),
        remedy="\n".join(remedy) or "`latentry plugins` lists what is installed and what is broken.",
    )


def _contested(kind: Kind[Any], name: str, names: Names[Any]) -> UnknownName:
    claims = names.contested[name]
    givers = " and ".join(dict.fromkeys(entry.source.owner.distribution for entry in claims))
    return UnknownName(
        f"The {kind.noun} name '{name}' is ambiguous: {givers} each register it.",
        remedy=f"Use {' or '.join(entry.qualified for entry in claims)}.",
    )


def _near(name: str, names: Iterable[str]) -> list[str]:
    """Close matches by full or short name, whatever the case."""
    lowered = {other.lower(): other for other in names}
    lowered |= {key.partition(":")[2]: other for key, other in lowered.items() if ":" in key}
    wanted = name.lower()
    close = get_close_matches(wanted, lowered, n=3) or get_close_matches(wanted.partition(":")[2], lowered, n=3)
    return list(dict.fromkeys(lowered[key] for key in close if lowered[key] != name))


def _quarantined(name: str, distribution: str | None, problems: Iterable[Problem]) -> Iterator[str]:
    """The broken plugins, any of which may provide the name, the likeliest first."""
    faults = [problem for problem in problems if problem.stage not in ("collision", "load")]

    def unlikely(problem: Problem) -> bool:
        return not (problem.distribution == distribution or name in f"{problem.plugin} {problem.distribution}")

    for problem in sorted(faults, key=unlikely)[:5]:
        yield f"A broken plugin may provide it: {problem.what} {problem.why}".rstrip()
    if len(faults) > 5:
        yield f"{len(faults) - 5} more plugins are broken; see `latentry plugins`."


def _installable(
    wanted: Iterable[str], names: Names[Any], known: dict[str, str], left_out: frozenset[str]
) -> Iterator[str]:
    for name in wanted:
        distribution = known.get(name)
        if distribution is None or names.resolve(name) is not None:
            continue
        if distribution in left_out:
            yield f"{distribution} provides '{name}'. It is installed but switched off (load, block)."
        else:
            yield f"{distribution} provides '{name}': {how_to_install(distribution)}."
