"""Names that are known in the field and stand for nothing here, and what is nearest."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, Literal

from latentry._discovery import PluginHost, Registry
from latentry._discovery._kinds import SCHEDULERS
from latentry._discovery._unknown import known_distributions
from latentry._errors import UnknownName
from latentry._peers._spelling import spelling

Kind = Literal["schedulers", "sigma_schedules"]


def refuse_absent(host: PluginHost, kind: Kind, spelt: str, name: str) -> None:
    """Refuses what ``unavailable.json`` lists.

    Args:
        host: to see whether the nearest is installed.
        kind: what the name is looked for among.
        spelt: the name, or a part of it, in one spelling.
        name: as it was asked for.

    Raises:
        UnknownName: the list has it; says why it is not here and what is nearest.
    """
    for entry in _read("unavailable.json")[kind]:
        if spelt in map(spelling, entry["names"]):
            what = f"The sigma schedule '{spelt}'" if kind == "sigma_schedules" else f"'{name}'"
            raise UnknownName(
                f"{what} is known in the field and not here: {entry['why']}.",
                remedy=_remedy(getattr(host, kind), entry["nearest"], entry.get("remedy", "")),
            )


def refuse_uninstalled(host: PluginHost, spelt: str, name: str) -> None:
    """Refuses another program's name for a scheduler of a distribution that is not installed.

    Raises:
        UnknownName: says what to install.
    """
    own = known_distributions(SCHEDULERS)
    names = {spelling(each): distribution for each, distribution in own.items()}
    for distribution, peers in _read("peer_directory.json").items():
        names |= {spelling(peer): distribution for peer in peers}
    owner = names.get(spelt)
    if owner is not None and owner not in {plugin.distribution for plugin in host.plugins}:
        raise UnknownName(
            f"There is no scheduler '{name}'.",
            why=f"{owner} has it, which is not installed, broken or switched off.",
            remedy=f"pip install {owner}; `latentry plugins` lists what is broken.",
        )


def _remedy(registry: Registry[Any], nearest: str | None, more: str) -> str:
    if nearest is None:
        return more or "Nothing here is near it."
    told = f"The nearest that is here is '{nearest}'."
    distribution = known_distributions(SCHEDULERS).get(nearest)
    if nearest not in registry and distribution is not None:
        told = f"The nearest is '{nearest}': pip install {distribution}."
    return f"{told} {more}".strip()


def _read(file: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((resources.files(__package__) / file).read_text(encoding="utf-8"))
    return content
