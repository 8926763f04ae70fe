"""Making an object from options that a person typed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from latentry._errors import OptionError

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic.fields import FieldInfo

BOUNDS = {
    "ge": "at least",
    "gt": "more than",
    "le": "at most",
    "lt": "less than",
    "multiple_of": "a multiple of",
}


def create(label: str, target: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """Call the target; an option that it does not know, or a value it refuses, is an ``OptionError``.

    Pydantic does the checking where the target is a model, and is imported only if something is wrong.
    """
    fields: Mapping[str, FieldInfo] | None = getattr(target, "model_fields", None)
    if fields is None:
        _check_signature(label, target, options)
        return target(**options)
    try:
        return target(**options)
    except ValueError as error:
        from pydantic import ValidationError

        if not isinstance(error, ValidationError):
            raise
        raise _option_error(label, fields, error) from error


def describe(field: FieldInfo) -> str:
    """What an option accepts: type or choices, range, default, meaning."""
    words = [_type_name(field.annotation)]
    for bound, phrase in BOUNDS.items():
        words += [f"{phrase} {getattr(m, bound)}" for m in field.metadata if getattr(m, bound, None) is not None]
    words.append("required" if field.is_required() else f"default {field.get_default(call_default_factory=True)!r}")
    return ", ".join(words) + (f". {field.description}" if field.description else "")


def _option_error(label: str, fields: Mapping[str, FieldInfo], error: ValidationError) -> OptionError:
    """All that is wrong, in one error."""
    what, why, near = [], [], []
    for detail in error.errors(include_url=False):
        name = str(detail["loc"][0]) if detail["loc"] else ""
        if detail["type"] == "extra_forbidden":
            what.append(f"{label} has no option '{name}'.")
            near += get_close_matches(name, fields, n=2)
        elif name in fields:
            value = "" if detail["type"] == "missing" else f" {detail['input']!r}"
            what.append(f"{label} cannot take option '{name}'{value}: {_lower(detail['msg'])}.")
            why.append(f"{name}: {describe(fields[name])}")
        else:
            what.append(f"{label} cannot take these options: {_lower(detail['msg'])}.")
    why += [f"{name}: {describe(fields[name])}" for name in near if name in fields]
    return OptionError(" ".join(what), why="\n".join(dict.fromkeys(why)), remedy=" ".join(_remedy(near, fields)))


def _remedy(near: Iterable[str], names: Iterable[str]) -> Iterator[str]:
    if near := list(dict.fromkeys(near)):
        yield f"Did you mean {' or '.join(repr(name) for name in near)}?"
    yield f"Its options are: {', '.join(names) or 'none'}."


def _check_signature(label: str, target: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Options of a plain class are its keyword arguments."""
    signature = inspect.signature(target)
    try:
        signature.bind(**options)
    except TypeError as error:
        names = list(signature.parameters)
        near = [close for name in options if name not in names for close in get_close_matches(name, names)]
        raise OptionError(
            f"{label} cannot take these options: {error}.", remedy=" ".join(_remedy(near, names))
        ) from error


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(repr(choice) for choice in get_args(annotation))
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")


def _lower(message: str) -> str:
    message = message.removeprefix("Value error, ").rstrip(".")
    return message[:1].lower() + message[1:]
