"""A scheduler's options as plain data, for programs that show a control for each."""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from latentry import PluginHost

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

Kind = Literal["bool", "int", "float", "choice", "text"]


@dataclass(frozen=True)
class Field:
    """One option.

    Attributes:
        name: of the option.
        kind: of control that it needs.
        default: its value where nothing is chosen, as JSON has it; None where it may be left open.
        description: one line.
        choices: of a ``choice``.
        least: smallest number that is allowed.
        most: largest number that is allowed.
        optional: may be left open (None).
    """

    name: str
    kind: Kind
    default: Any
    description: str = ""
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    optional: bool = False


def form(
    name: str, *, kind: Literal["schedulers", "sigma_schedules"] = "schedulers", host: PluginHost | None = None
) -> tuple[Field, ...]:
    """The options of a scheduler or of a sigma schedule, by any of its names; imports its code.

    Raises:
        UnknownName: nothing installed has that name.
    """
    target = getattr(host or PluginHost(), kind).load(name)
    return tuple(_field(option, field) for option, field in target.model_fields.items())


def _field(name: str, info: FieldInfo) -> Field:
    annotation, optional = _required(info.annotation)
    choices: tuple[str, ...] = ()
    kind: Kind = "text"
    if get_origin(annotation) is Literal:
        kind, choices = "choice", tuple(map(str, get_args(annotation)))
    elif annotation in (bool, int, float):
        kind = "bool" if annotation is bool else "int" if annotation is int else "float"
    default = info.get_default(call_default_factory=True)
    if isinstance(default, tuple | set | frozenset):
        default = sorted(default) if isinstance(default, set | frozenset) else list(default)
    return Field(name, kind, default, info.description or "", choices, *_bounds(info, kind), optional)


def _required(annotation: Any) -> tuple[Any, bool]:
    """The type without None, and whether None was part of it."""
    if get_origin(annotation) not in (Union, UnionType):
        return annotation, False
    kinds = [each for each in get_args(annotation) if each is not NoneType]
    return (kinds[0] if len(kinds) == 1 else str), NoneType in get_args(annotation)


def _bounds(info: FieldInfo, kind: Kind) -> tuple[float | None, float | None]:
    """The least and the largest value; an excluded bound of a float counts as the bound, of an int as the next."""
    step = 1 if kind == "int" else 0
    found: dict[str, float] = {}
    for item in info.metadata:
        for bound in ("ge", "gt", "le", "lt"):
            if (value := getattr(item, bound, None)) is not None:
                found[bound] = value
    least = found.get("ge", found["gt"] + step if "gt" in found else None)
    most = found.get("le", found["lt"] - step if "lt" in found else None)
    return least, most
