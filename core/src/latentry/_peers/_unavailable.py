"""Names that are known in the field but not available here, and the nearest that is."""

from __future__ import annotations

from typing import Any, Literal

from latentry._errors import UnknownName
from latentry._peers._directory import distributions, read
from latentry._peers._install import how_to_install
from latentry._peers._registered import Installed, Registered
from latentry._peers._spelling import spelling

Kind = Literal["schedulers", "sigma_schedules"]


def refuse_absent(host: Installed, kind: Kind, spelt: str, name: str) -> None:
    """Refuses what ``unavailable.json`` lists.

    Args:
        host: to see whether the nearest is installed.
        kind: what the name is looked for among.
        spelt: the name, or a part of it, in one spelling.
        name: as it was asked for.

    Raises:
        UnknownName: the list has it; says why it is not here and what is nearest.
    """
    for entry in read("unavailable.json")[kind]:
        if spelt in map(spelling, entry["names"]):
            what = f"The sigma schedule '{spelt}'" if kind == "sigma_schedules" else f"'{name}'"
            raise UnknownName(
                f"{what} is not available here: {entry['why']}.",
                remedy=_remedy(getattr(host, kind), entry["nearest"], entry.get("remedy", "")),
            )


def refuse_uninstalled(host: Installed, spelt: str, name: str) -> None:
    """Refuses another program's name for a scheduler of a distribution that is not installed.

    Raises:
        UnknownName: says what to install.
    """
    own = distributions("schedulers")
    names = {spelling(each): distribution for each, distribution in own.items()}
    for distribution, peers in read("peer_directory.json").items():
        names |= {spelling(peer): distribution for peer in peers}
    owner = names.get(spelt)
    if owner is not None and owner not in host.distributions:
        raise UnknownName(
            f"There is no scheduler '{name}'.",
            why=f"{owner} provides it; it is not installed, broken or switched off.",
            remedy=f"To have it: {how_to_install(owner)}. `latentry plugins` lists what is broken.",
        )


def _remedy(registry: Registered[Any], nearest: str | None, more: str) -> str:
    if nearest is None:
        return more or "Nothing similar is available here."
    advice = f"The nearest one here is '{nearest}'."
    distribution = distributions("schedulers").get(nearest)
    if not registry.registered(nearest) and distribution is not None:
        advice = f"The nearest is '{nearest}': {how_to_install(distribution)}."
    return f"{advice} {more}".strip()
