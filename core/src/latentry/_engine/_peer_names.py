"""What a scheduler's name means: ours, or another program's with a sigma schedule and options in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from latentry._discovery import PluginHost
from latentry._errors import UnknownName
from latentry._specs import PeerName


@dataclass(frozen=True)
class Meaning:
    """What a name stands for.

    Attributes:
        scheduler: ``distribution:name``.
        options: the options that are part of the name.
        sigmas: ``distribution:name`` of the sigma schedule in the name, None where it names none.
        notes: how results differ from the program whose name it is.
    """

    scheduler: str
    options: Mapping[str, Any] = field(default_factory=dict)
    sigmas: str | None = None
    notes: tuple[str, ...] = ()


def understand(host: PluginHost, name: str) -> Meaning:
    """The meaning of a scheduler's name.

    Raises:
        UnknownName: nothing here has the name; a name that is known in the field says what is nearest.
    """
    if name in host.schedulers:
        return Meaning(host.schedulers.qualified(name))
    spelt = _spelling(name)
    _refuse_known_absent(spelt, name)
    for whole, sigmas in ((spelt, None), *_without_schedule(host, spelt)):
        found = [(scheduler, peer) for scheduler in host.schedulers for peer in _claims(host, scheduler, whole)]
        if len({scheduler for scheduler, _ in found}) == 1:
            return _meaning(host, *found[0], sigmas)
    host.schedulers[name]  # raises with what is installed and what is near
    raise AssertionError("unreachable")


def _meaning(host: PluginHost, scheduler: str, peer: PeerName | None, sigmas: str | None) -> Meaning:
    qualified = host.schedulers.qualified(scheduler)
    if peer is None:
        return Meaning(qualified, sigmas=sigmas)
    notes = (f"{peer.name} of {peer.peer} differs: {peer.differs}",) if peer.differs else ()
    return Meaning(qualified, dict(peer.options), sigmas or peer.sigmas, notes)


def _claims(host: PluginHost, scheduler: str, spelt: str) -> Iterator[PeerName | None]:
    """How a scheduler can have this name: as a program's, or as its own."""
    spec = host.schedulers[scheduler]
    yield from (peer for peer in spec.peers if _spelling(peer.name) == spelt)
    if spelt in {_spelling(own) for own in (spec.name, *spec.aliases)}:
        yield None


def _without_schedule(host: PluginHost, spelt: str) -> Iterator[tuple[str, str]]:
    """The name less a sigma schedule at its end, and that schedule; the longest schedule name first."""
    names = {
        _spelling(own): host.sigma_schedules.qualified(name)
        for name in host.sigma_schedules
        for own in (name, *host.sigma_schedules[name].aliases)
    }
    for suffix in sorted(names, key=len, reverse=True):
        if spelt.endswith(f"-{suffix}"):
            yield spelt.removesuffix(f"-{suffix}"), names[suffix]


def _refuse_known_absent(spelt: str, name: str) -> None:
    text = (resources.files(__package__) / "unavailable.json").read_text(encoding="utf-8")
    entry = json.loads(text).get(spelt)
    if entry is not None:
        raise UnknownName(
            f"{name!r} is known in the field and not here yet: {entry['why']}.",
            remedy=f"The nearest that is here is {entry['nearest']!r}.",
        )


def _spelling(name: str) -> str:
    """One spelling for ``DPM++ 2M``, ``dpmpp_2m``, ``k_dpmpp_2m`` and ``sample_dpmpp_2m``."""
    joined = re.sub(r"[\s_-]+", "-", name.strip().casefold().replace("++", "pp"))
    return joined.removeprefix("sample-").removeprefix("k-")
