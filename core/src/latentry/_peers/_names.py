"""What a scheduler's name means: its own, or another program's with a sigma schedule and options in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

from latentry._errors import UnknownName
from latentry._peers._registered import Installed
from latentry._peers._spelling import compact, schedule_names, spelling, without_schedule
from latentry._peers._unavailable import refuse_absent, refuse_uninstalled
from latentry._specs import PeerName, SigmaPreference


@dataclass(frozen=True)
class Meaning:
    """What a name stands for.

    Attributes:
        scheduler: ``distribution:name``.
        options: the options that are part of the name.
        sigmas: ``distribution:name`` of the sigma schedule in the name, None where it names none.
        preference: what the program whose name it is lays it out on, None for the scheduler's own preference.
        notes: how results differ from that program's.
    """

    scheduler: str
    options: Mapping[str, Any] = field(default_factory=dict)
    sigmas: str | None = None
    preference: SigmaPreference | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Claim:
    """A scheduler that can have a name: as a program's, or (``peer`` None) as its own.

    Attributes:
        rank: 0 for a program's name to the letter, 1 for the scheduler's own, 2 for a program's in another spelling,
            3 for an alias.
        guarded: whether the scheduler has a guard.
    """

    rank: int
    scheduler: str
    peer: PeerName | None = None
    guarded: bool = False

    @property
    def options(self) -> Mapping[str, Any]:
        """Those of the name. No other program has a guard."""
        if self.peer is None:
            return {}
        return {**({"guard": False} if self.guarded else {}), **dict(self.peer.options)}

    @property
    def note(self) -> str:
        return f"{self.peer.name} of {self.peer.peer} differs: {self.peer.differs}" if self.peer else ""

    def __str__(self) -> str:
        return f"'{self.scheduler}'" + (f" as {self.peer.name} of {self.peer.peer}" if self.peer else "")


def understand(host: Installed, name: str) -> Meaning:
    """The meaning of a scheduler's name: a registered name is that scheduler as it is. Then come other programs' names
    to the letter, our own in another spelling, other programs', and aliases.

    Raises:
        UnknownName: nothing here has the name, or several have it; a name that is known in the field says what is
            nearest.
    """
    if host.schedulers.registered(name) and (":" in name or host.schedulers[name].name == name):
        return Meaning(host.schedulers.qualified(name))
    spelt = spelling(name)
    parts = ((spelt, None), *without_schedule(spelt, schedule_names(host)))
    joined = ((compact(whole), sigmas) for whole, sigmas in parts)
    for (whole, sigmas), written in chain(zip(parts, repeat(spelling)), zip(joined, repeat(compact))):
        if claims := list(_claims(host, whole, name, written)):
            best = min(claim.rank for claim in claims)
            return _meaning(host, [claim for claim in claims if claim.rank == best], sigmas, name)
    for whole, _ in parts:
        refuse_absent(host, "schedulers", whole, name)
        refuse_uninstalled(host, whole, name)
    _refuse_absent_schedule(host, spelt, name)
    raise host.schedulers.unknown(name)


def understand_sigmas(host: Installed, name: str) -> str:
    """``distribution:name`` of the sigma schedule that a name stands for.

    Raises:
        UnknownName: nothing here has the name; one that is known in the field says what is nearest.
    """
    if host.sigma_schedules.registered(name):
        return host.sigma_schedules.qualified(name)
    names = schedule_names(host)
    found = names.get(spelling(name)) or {compact(own): found for own, found in names.items()}.get(compact(name))
    if found is not None:
        return found
    refuse_absent(host, "sigma_schedules", spelling(name), name)
    raise host.sigma_schedules.unknown(name)


def _claims(host: Installed, spelt: str, name: str, written: Callable[[str], str] = spelling) -> Iterator[_Claim]:
    """Who has the spelling; the name as it was typed, with whatever follows, shows whose letters it has.

    Args:
        host: whose schedulers are looked through.
        spelt: the name, or a part of it, in one spelling.
        name: as it was typed.
        written: makes that spelling.
    """
    for scheduler in host.schedulers:
        spec = host.schedulers[scheduler]
        for peer in spec.peers:
            names = (peer.name, *peer.others)
            if spelt in map(written, names):
                yield _Claim(0 if name.startswith(names) else 2, scheduler, peer, spec.guard_since is not None)
        if spelt == written(spec.name):
            yield _Claim(1, scheduler)
        elif spelt in map(written, host.schedulers.aliases(scheduler)):
            yield _Claim(3, scheduler)


def _meaning(host: Installed, claims: Sequence[_Claim], sigmas: str | None, name: str) -> Meaning:
    """What the claims have in common: they must agree on scheduler and options, and a grid that they do not agree on
    is left to the scheduler.
    """
    first = claims[0]
    if any((claim.scheduler, claim.options) != (first.scheduler, first.options) for claim in claims):
        each = " and ".join(dict.fromkeys(map(str, claims)))
        raise UnknownName(f"The scheduler name '{name}' is ambiguous: it is {each}.", remedy="Use one of them.")
    grids = {claim.peer.sigmas if claim.peer else None for claim in claims}
    return Meaning(
        host.schedulers.qualified(first.scheduler),
        first.options,
        sigmas,
        grids.pop() if len(grids) == 1 and sigmas is None else None,
        tuple(claim.note for claim in claims if claim.peer and claim.peer.differs),
    )


def _refuse_absent_schedule(host: Installed, spelt: str, name: str) -> None:
    """``res_2m bong_tangent``: the scheduler is here, the sigma schedule is not."""
    parts = spelt.split("-")
    for i in range(1, len(parts)):
        if any(_claims(host, "-".join(parts[:i]), name)):
            refuse_absent(host, "sigma_schedules", "-".join(parts[i:]), name)
