"""What the understanding of names needs to know about what is registered; a plugin host has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeVar

from latentry._errors import UnknownName
from latentry._specs import SchedulerSpec, SigmaScheduleSpec, Spec

S_co = TypeVar("S_co", bound=Spec, covariant=True)


class Registered(Protocol[S_co]):
    """The records of one kind, by the names they are registered under."""

    def __iter__(self) -> Iterator[str]: ...

    def __getitem__(self, name: str) -> S_co: ...

    def registered(self, name: str) -> bool:
        """Whether a name, an alias or ``distribution:name`` is registered, in exactly these letters."""
        ...

    def aliases(self, name: str) -> tuple[str, ...]:
        """The aliases of a record."""
        ...

    def qualified(self, name: str) -> str:
        """``distribution:name`` of a record."""
        ...

    def unknown(self, name: str) -> UnknownName:
        """The error for a name that nothing has."""
        ...


class Installed(Protocol):
    """A plugin host, as far as names are concerned."""

    @property
    def schedulers(self) -> Registered[SchedulerSpec]: ...

    @property
    def sigma_schedules(self) -> Registered[SigmaScheduleSpec]: ...

    @property
    def distributions(self) -> frozenset[str]:
        """The distributions whose plugins are loaded."""
        ...
