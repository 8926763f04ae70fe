"""From what someone asks to check to its record and what that names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from latentry._discovery._registry import Registry
from latentry._specs import Spec
from latentry.testing._kit._checked import load_target

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True)
class Resolved(Generic[S]):
    """A record and its target.

    Attributes:
        registry: of the record's kind.
        spec: the record.
        target: what it names.
        installed: the name the host knows it by; empty for what no plugin registers.
    """

    registry: Registry[S]
    spec: S
    target: Any
    installed: str = ""

    @classmethod
    def of(cls, registry: Registry[S], source: Any, assumed: Callable[[Any], S]) -> Resolved[S]:
        """Resolves a name the registry knows, a record, or a class.

        Args:
            registry: of the kind that is wanted.
            source: what to check.
            assumed: makes the record of a class.
        """
        if isinstance(source, str):
            return cls(registry, registry[source], registry.load(source), source)
        if isinstance(source, Spec):
            return cls(registry, source, load_target(source.target))  # type: ignore[arg-type]
        return cls(registry, assumed(source), source)

    def make(self, **options: Any) -> Any:
        """An object of the target; the host checks the options of what it knows."""
        return self.registry.create(self.installed, **options) if self.installed else self.target(**options)
