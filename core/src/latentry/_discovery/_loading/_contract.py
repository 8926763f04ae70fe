"""The contract version: which core a plugin is for, checked before any of its code runs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NoReturn

from latentry._errors import PluginError
from latentry._specs import API, Spec

CORE = "latentry"

NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
SIMPLE = re.compile(r"\s*latentry\s*\(?([^;()\[\]*@]*)\)?\s*")
CLAUSE = re.compile(r"\s*(>=|<=|==|!=|~=|>|<)\s*(\d+(?:\.\d+)*)\s*")
RELEASE = re.compile(r"\d+(?:\.\d+)*")


def canonical(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def check_requirements(distribution: str, requires: Iterable[str], core: str) -> None:
    """Raise where one of a distribution's requirements on the core does not hold for this core."""
    for requirement in requires:
        name = NAME.match(requirement)
        if name is None or canonical(name[1]) != CORE:
            continue
        missed = _simple_miss(requirement, core)
        if missed is None:
            missed = _thorough_miss(requirement, core)
        if missed:
            _refuse(distribution, requirement, core, *missed)


def check_api(distribution: str, spec: Spec) -> None:
    """Raise where a record was written for another major, or for a newer minor, of the contract."""
    major, minor = spec.api
    if (major, minor) == API or (major == API[0] and minor < API[1]):
        return
    offered, wanted = f"{API[0]}.{API[1]}", f"{major}.{minor}"
    newer = (major, minor) > API
    raise PluginError(
        f"'{spec.name}' is for plugin contract {wanted}; this version of latentry has {offered}.",
        remedy=f"Upgrade the core, {CORE}." if newer else f"Upgrade the plugin, {distribution}.",
    )


def _simple_miss(requirement: str, core: str) -> tuple[str, ...] | None:
    """Operator and version of the clause that fails, () where all hold, None where only ``packaging`` can tell.

    By hand, because importing ``packaging`` costs more than reading all metadata does.
    """
    simple = SIMPLE.fullmatch(requirement)
    if simple is None or not RELEASE.fullmatch(core):
        return None
    for text in filter(str.strip, simple[1].split(",")):
        clause = CLAUSE.fullmatch(text)
        if clause is None:
            return None
        if not _holds(core, clause[1], clause[2]):
            return clause[1], clause[2]
    return ()


def _holds(core: str, operator: str, bound: str) -> bool:
    ours, theirs = _release(core), _release(bound)
    match operator:
        case ">=":
            return ours >= theirs
        case ">":
            return ours > theirs
        case "<=":
            return ours <= theirs
        case "<":
            return ours < theirs
        case "==":
            return ours == theirs
        case "!=":
            return ours != theirs
        case _:  # ~=1.4.2 is at least 1.4.2 within 1.4
            fixed = bound.count(".")
            return ours >= theirs and ours[:fixed] == theirs[:fixed]


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a version, padded so that 1.0 equals 1.0.0."""
    found = RELEASE.match(version)
    numbers = tuple(int(part) for part in found[0].split(".")) if found else ()
    return numbers + (0,) * (8 - len(numbers))


def _thorough_miss(requirement: str, core: str) -> tuple[str, ...]:
    """The same for markers, extras, wildcards and development versions."""
    from packaging.requirements import Requirement

    parsed = Requirement(requirement)
    if parsed.marker is not None and not parsed.marker.evaluate({"extra": ""}):
        return ()
    missed = (clause for clause in parsed.specifier if not clause.contains(core, prereleases=True))
    return next(((clause.operator, clause.version) for clause in missed), ())


def _refuse(distribution: str, requirement: str, core: str, operator: str, bound: str) -> NoReturn:
    ours, theirs = _release(core), _release(bound)
    core_is_older = ours < theirs or (ours == theirs and operator in (">=", ">", "~=", "=="))
    wanted = requirement.partition(";")[0].strip()
    raise PluginError(
        f"it requires {wanted}; this is {CORE} {core}.",
        remedy=f"Upgrade the core to {wanted}." if core_is_older else f"Upgrade the plugin, {distribution}.",
    )
