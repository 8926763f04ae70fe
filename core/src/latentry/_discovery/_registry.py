"""The records of one kind, by name, and the import of what they point at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from importlib import import_module
from typing import Any, Generic

from latentry._discovery._calls import plugin_call
from latentry._discovery._kinds import Kind, S
from latentry._discovery._loading._sources import Provenance
from latentry._discovery._names import Entry, Names
from latentry._discovery._options import create
from latentry._discovery._problems import Ledger, cause
from latentry._discovery._unknown import unknown_name
from latentry._errors import LatentryError, PluginError, UnknownName

Understand = Callable[[str], tuple[str, Mapping[str, Any]]]
"""From a name in any spelling, other programs' included, to ``distribution:name`` and the options in the name."""


class Registry(Mapping[str, S], Generic[S]):
    """Records by name: ``registry["ddim"]``, an alias, or ``registry["latentry-ddim:ddim"]``.

    Schedulers and sigma schedules are found in any spelling and under other programs' names too, as ``generate``
    finds them: ``registry["uni_pc"]``.

    Iterating gives one name a record: the short one, or ``distribution:name`` where two distributions give
    the short one, but for unlisted records. A name that nothing has raises ``UnknownName``.
    """

    def __init__(
        self,
        kind: Kind[S],
        names: Names[S],
        ledger: Ledger,
        left_out: frozenset[str] = frozenset(),
        understand: Understand | None = None,
    ) -> None:
        self._kind = kind
        self._names = names
        self._ledger = ledger
        self._left_out = left_out
        self._understand = understand

    def __getitem__(self, name: str) -> S:
        return self._entry(name).spec

    def __iter__(self) -> Iterator[str]:
        return iter(self._names.listed())

    def __len__(self) -> int:
        return len(self._names.listed())

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and bool(self._entry(name))
        except UnknownName:
            return False

    def __repr__(self) -> str:
        return f"<{self._kind.attribute}: {', '.join(self) or 'none'}>"

    def registered(self, name: str) -> bool:
        """Whether a name, an alias or ``distribution:name`` is registered, in exactly these letters."""
        return self._names.resolve(name) is not None

    def names(self, *, everything: bool = False) -> tuple[str, ...]:
        """One name a record, sorted; unlisted records too where everything is asked for."""
        return tuple(self._names.listed(everything=everything))

    def aliases(self, name: str) -> tuple[str, ...]:
        """The aliases that resolve to a record; those it lost to another record are left out."""
        entry = self._entry(name)
        return tuple(alias for alias in entry.spec.aliases if self._names.aliases.get(alias) is entry)

    def qualified(self, name: str) -> str:
        """``distribution:name``, which no other plugin can take over."""
        return self._entry(name).qualified

    def listed(self, name: str) -> str:
        """The name under which iterating gives a record that has this name, alias or ``distribution:name``."""
        entry = self._entry(name)
        return next(one for one in self.names(everything=True) if self._entry(one) is entry)

    def provenance(self, name: str) -> Provenance:
        """Who registered a record."""
        return self._entry(name).source.owner

    def unknown(self, name: str) -> UnknownName:
        """The error for an unknown name: lists what is installed, similar names, and what to install."""
        return unknown_name(self._kind, name, self._names, self._ledger.problems, self._left_out)

    def load(self, name: str, field: str = "target") -> Any:
        """Import what a record points at, by its target or another such field, e.g. ``detector``."""
        entry = self._entry(name)
        target: str = getattr(entry.spec, field)
        module, _, attribute = target.partition(":")
        try:
            return reduce(getattr, attribute.split("."), import_module(entry.source.real_module(module)))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            fault = PluginError(
                f"the {self._kind.noun} '{entry.spec.name}' cannot be loaded from {target}.",
                why=cause(error),
                remedy=_repair(entry.source.owner, error),
            )
            fault.__cause__ = error
            raise self._ledger.add(entry.source.owner, "load", fault).as_error() from error

    def calling(self, name: str) -> plugin_call:
        """Around a call of what ``load`` or ``create`` gave: ``with host.families.calling("sd"): ...``."""
        entry = self._entry(name)
        return plugin_call(entry.source.owner, f"{self._kind.noun} '{entry.spec.name}'")

    def create(self, name: str, /, **options: Any) -> Any:
        """Create one with these options, which count before those that are part of another program's name.

        Raises:
            OptionError: an option is unknown or has a value that is refused.
        """
        entry, target = self._entry(name), self.load(name)
        if self._understand is not None and not self.registered(name):
            options = {**self._understand(name)[1], **options}
        try:
            return create(f"The {self._kind.noun} '{entry.spec.name}'", target, options)
        except (LatentryError, MemoryError):
            raise
        except Exception as error:
            fault = PluginError(
                f"the {self._kind.noun} '{entry.spec.name}' cannot be created.",
                why=cause(error),
                remedy=_repair(entry.source.owner, error),
            )
            raise self._ledger.add(entry.source.owner, "load", fault).as_error() from error

    def _entry(self, name: str) -> Entry[S]:
        entry = self._names.resolve(name)
        if entry is None and self._understand is not None and self._may_be_understood(name):
            entry = self._names.resolve(self._understand(name)[0])
        if entry is None:
            raise self.unknown(name)
        return entry

    def _may_be_understood(self, name: str) -> bool:
        return ":" not in name and name not in self._names.contested


def _repair(owner: Provenance, error: BaseException) -> str:
    if not owner.version:
        return "Correct the file."
    if isinstance(error, ModuleNotFoundError):
        return f"Install {owner.distribution} again, with its dependencies."
    return f"Look for a newer release of {owner.distribution}."
