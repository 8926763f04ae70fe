"""What is checked: a record, and its target as it was imported."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, Self, TypeVar

from latentry._discovery import PluginHost
from latentry._discovery._kinds import KINDS
from latentry._specs import Spec
from latentry.testing._kit._checked import Whole, load_target
from latentry.testing._kit._record import kind_of

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True)
class PlainSubject(Whole, Generic[S]):
    """A record and its target.

    Attributes:
        spec: the record.
        target: what it names.
        host: where it comes from.
        installed: the name the host knows it by; empty for a record that no plugin registers.
    """

    spec: S
    target: Any
    host: PluginHost = field(repr=False)
    installed: str = ""

    @classmethod
    def of(cls, source: str | S, kind: type[S], *, host: PluginHost | None = None) -> Self:
        """Resolves a name or a record.

        Args:
            source: a name the plugin host knows, or a record.
            kind: the record's class.
            host: resolves names; by default a new one with everything that is installed.
        """
        host = host or PluginHost()
        if isinstance(source, str):
            registry = getattr(host, next(each.attribute for each in KINDS if each.record is kind))
            return cls(registry[source], registry.load(source), host, source)
        assert kind_of(source).record is kind
        return cls(source, load_target(source.target), host)
