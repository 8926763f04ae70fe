"""Which name means which record: the rules, on bare entries."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from latentry._discovery._kinds import SCHEDULERS
from latentry._discovery._loading._sources import Provenance, Source
from latentry._discovery._names import Entry, Names
from latentry._discovery._problems import Ledger
from latentry._discovery._registry import Registry
from latentry._errors import UnknownName
from latentry._specs import SchedulerSpec


def entry(distribution: str, name: str, *aliases: str, moved_from: tuple[str, ...] = ()) -> Entry[SchedulerSpec]:
    owner = Provenance(distribution, distribution, "1.0")
    spec = SchedulerSpec(name=name, target="a:B", summary="For a test.", aliases=aliases, moved_from=moved_from)
    return Entry(spec, Source(owner, distribution, lambda: None))


ENTRIES = (
    entry("d1", "same"),
    entry("d2", "same", "alone"),
    entry("d3", "third", "shared", "fourth"),
    entry("d4", "fourth", "shared", "same", "fourth"),
)

MEANING = {
    "same": None,  # a name of two records
    "third": "d3:third",
    "fourth": "d4:fourth",  # its name beats the alias of d3
    "shared": None,  # an alias of two records
    "alone": "d2:same",
    "d1:same": "d1:same",
    "d2:same": "d2:same",
    "D_2:same": None,
    "d3:shared": None,
    "": None,
    ":": None,
}


def test_the_rules_hold_in_any_order() -> None:
    for order in permutations(ENTRIES):
        names = Names(order)
        found = {name: names.resolve(name) for name in MEANING}
        assert {name: one and one.qualified for name, one in found.items()} == MEANING
        assert names.listed() == ["d1:same", "d2:same", "fourth", "third"]
        assert {name: len(claims) for name, claims in names.contested.items()} == {"same": 2, "shared": 2}


MOVED = (
    entry("d1", "kept"),
    entry("d2", "kept", moved_from=("d1",)),  # d1 registers it itself
    entry("new", "moved", moved_from=("Old_One", "d1")),
    entry("d3", "twice", moved_from=("d1",)),
    entry("d4", "twice", moved_from=("d1",)),
)

NOW = {
    "d1:kept": "d1:kept",
    "old-one:moved": "new:moved",
    "OLD.ONE:moved": "new:moved",
    "d1:moved": "new:moved",
    "new:moved": "new:moved",
    "moved": "new:moved",
    "d1:twice": None,  # two say that they had it
    "d2:moved": None,
    "old-one:kept": None,
}


def test_a_former_qualified_name_resolves_where_nothing_else_has_it() -> None:
    for order in permutations(MOVED):
        names = Names(order)
        found = {name: names.resolve(name) for name in NOW}
        assert {name: one and one.qualified for name, one in found.items()} == NOW
        assert names.listed() == ["d1:kept", "d2:kept", "d3:twice", "d4:twice", "moved"]


@pytest.fixture
def registry() -> Registry[SchedulerSpec]:
    return Registry(SCHEDULERS, Names(ENTRIES), Ledger(strict=False), frozenset({"latentry-ddim"}))


def test_a_registry_is_a_mapping(registry: Registry[SchedulerSpec]) -> None:
    assert len(registry) == 4
    assert list(registry) == list(registry.names()) == ["d1:same", "d2:same", "fourth", "third"]
    assert all(registry[name] is registry.get(name) for name in registry)
    assert "alone" in registry
    assert "same" not in registry
    assert registry.get("nothing") is None
    with pytest.raises(KeyError):
        registry["nothing"]


def test_the_message_for_a_contested_name(registry: Registry[SchedulerSpec]) -> None:
    with pytest.raises(UnknownName, match="d1 and d2 each register it") as caught:
        registry["same"]
    assert caught.value.remedy == "Use d1:same or d2:same."


@pytest.mark.parametrize(
    ("typed", "near"), [("Third", "third"), ("thrid", "third"), ("sam", "d1:same"), ("d1:sme", "d1:same")]
)
def test_the_message_for_an_unknown_name(registry: Registry[SchedulerSpec], typed: str, near: str) -> None:
    with pytest.raises(UnknownName) as caught:
        registry[typed]
    assert caught.value.what == f"There is no scheduler '{typed}'."
    assert "Installed: d1:same, d2:same, fourth, third." in caught.value.why
    assert f"'{near}'" in caught.value.remedy


def test_an_installed_distribution_that_is_switched_off_is_told(registry: Registry[SchedulerSpec]) -> None:
    with pytest.raises(UnknownName, match="It is installed but switched off"):
        registry["ddim"]
    with pytest.raises(UnknownName, match=r"pip install \./plugins/latentry-euler in a clone"):
        registry["euler"]


def test_of_an_unlisted_record_the_qualified_name_alone_resolves() -> None:
    hidden = Entry(replace(entry("d5", "third", "alone").spec, unlisted=True), entry("d5", "third").source)
    names, before = Names([*ENTRIES, hidden]), Names(ENTRIES)
    assert names.resolve("d5:third") is hidden
    for name in MEANING:
        assert names.resolve(name) == before.resolve(name)
    assert names.listed() == before.listed()
    assert names.listed(everything=True) == [*before.listed(), "d5:third"]
    registry = Registry(SCHEDULERS, names, Ledger(strict=False))
    assert registry["d5:third"] is hidden.spec
    assert registry.listed("d5:third") == "d5:third"
    assert len(registry) == len(list(registry)) == len(ENTRIES)
    assert "d5:third" not in list(registry) and "d5:third" in registry
