"""Which name means which record, when several plugins are installed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic

from latentry._discovery._kinds import S
from latentry._discovery._loading._contract import canonical
from latentry._discovery._loading._sources import Source


@dataclass(frozen=True)
class Entry(Generic[S]):
    """A record and where it comes from."""

    spec: S
    source: Source

    @property
    def qualified(self) -> str:
        """``distribution:name``, which no other distribution can have."""
        return f"{self.source.prefix}:{self.spec.name}"


class Names(Generic[S]):
    """The names of one kind of record.

    - Qualified names always resolve. Where a record has moved to another distribution, its former qualified name does
      too, if nothing else has or had it.
    - A short name resolves where one record has it; where two have it, neither does.
    - An alias resolves where no record has it as its name and no second one as an alias.
    - Of a record that is unlisted, the qualified name alone resolves.

    Nothing depends on the order of the entries.
    """

    def __init__(self, entries: Sequence[Entry[S]]) -> None:
        self.qualified = {entry.qualified: entry for entry in entries}
        shown = [entry for entry in entries if not entry.spec.unlisted]
        names = _grouped((entry.spec.name, entry) for entry in shown)
        aliases = _grouped(
            (alias, entry) for entry in shown for alias in dict.fromkeys(entry.spec.aliases) if alias not in names
        )
        former = _grouped(
            (f"{canonical(old)}:{entry.spec.name}", entry)
            for entry in entries
            for old in dict.fromkeys(entry.spec.moved_from)
        )
        self.former = {name: claims[0] for name, claims in former.items() if len(claims) == 1}
        self.short = {name: claims[0] for name, claims in names.items() if len(claims) == 1}
        self.aliases = {alias: claims[0] for alias, claims in aliases.items() if len(claims) == 1}
        self.contested = {name: claims for name, claims in (names | aliases).items() if len(claims) > 1}

    def resolve(self, name: str) -> Entry[S] | None:
        """The record that a name, an alias or ``distribution:name`` resolves to."""
        if not isinstance(name, str):
            return None
        if ":" in name:
            distribution, _, short = name.partition(":")
            qualified = f"{canonical(distribution)}:{short}"
            return self.qualified.get(qualified) or self.former.get(qualified)
        return self.short.get(name) or self.aliases.get(name)

    def listed(self, *, everything: bool = False) -> list[str]:
        """One name a record: the short one where it resolves, else the qualified one.

        Args:
            everything: unlisted records too, after the others.
        """
        kept = [self._select(entry) for entry in self.qualified.values() if not entry.spec.unlisted]
        more = [entry.qualified for entry in self.qualified.values() if entry.spec.unlisted]
        return [*sorted(kept), *(sorted(more) if everything else ())]

    def _select(self, entry: Entry[S]) -> str:
        return entry.spec.name if entry.spec.name in self.short else entry.qualified


def _grouped(pairs: Iterable[tuple[str, Entry[S]]]) -> dict[str, tuple[Entry[S], ...]]:
    groups: defaultdict[str, list[Entry[S]]] = defaultdict(list)
    for name, entry in pairs:
        groups[name].append(entry)
    return {name: tuple(sorted(claims, key=lambda entry: entry.qualified)) for name, claims in groups.items()}
