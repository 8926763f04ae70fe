"""What is checked: a record, and the host that it came from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import reduce
from importlib import import_module
from typing import Any, Protocol, Self, TypeVar

from latentry._discovery import PluginHost
from latentry._specs import Spec
from latentry.testing._result import CheckResult


class Checked(Protocol):
    """What checks of any kind are given.

    Attributes:
        spec: the record.
        host: where names are resolved.
        installed: the name the host knows it by; empty for an object that no plugin registers.
    """

    @property
    def spec(self) -> Spec: ...

    @property
    def host(self) -> PluginHost: ...

    @property
    def installed(self) -> str: ...

    def without(self, labels: Collection[str]) -> Self | None:
        """The same without the cases of these labels; None where nothing is left."""
        ...


C = TypeVar("C", bound=Checked)
Check = Callable[[C], Iterable[CheckResult]]
Checks = Mapping[str, Check[C]]
"""By name, in the order in which they are run; the name is that of the function and of the exemption."""


class Whole:
    """For subjects that have no cases."""

    def without(self, labels: Collection[str]) -> Self | None:
        """The same: an exemption for a case that does not exist leaves nothing out."""
        return self


def load_target(target: str) -> Any:
    """The object that a record's ``package.module:attribute`` names."""
    module, _, attribute = target.partition(":")
    return reduce(getattr, attribute.split("."), import_module(module))


def split_exemption(name: str) -> tuple[str, str]:
    """The check, and the case's label if the exemption is for one: ``one_answer`` or ``one_answer[clock=t]``."""
    check, _, label = name.partition("[")
    return check, label.removesuffix("]")
