"""Creates an object from options that a person typed."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from latentry._errors import OptionError

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

WORDS = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "it must be a whole number"),
    "int_parsing_size": "it must be a smaller number",
    "string_type": "it must be text",
    "string_too_long": "it must have at most {max_length} characters",
    **dict.fromkeys(("float_type", "float_parsing"), "it must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "it must be true or false"),
    "finite_number": "it must be a finite number",
    "greater_than": "it must be more than {gt}",
    "greater_than_equal": "it must be at least {ge}",
    "less_than": "it must be less than {lt}",
    "less_than_equal": "it must be at most {le}",
    "literal_error": "it must be {expected}",
}
"""What is wrong with a value, by pydantic's name for it."""
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

        cause = error.__cause__ if isinstance(error, OptionError) else error
        if not isinstance(cause, ValidationError):
            raise
        raise option_error(label, fields, cause) from cause


def option_names(target: Callable[..., Any]) -> tuple[str, ...]:
    """The options of a class, which is a pydantic model or has keyword arguments."""
    fields: Mapping[str, FieldInfo] | None = getattr(target, "model_fields", None)
    return tuple(inspect.signature(target).parameters if fields is None else fields)


def accepts(field: FieldInfo) -> str:
    """The values of an option: type or choices, and range."""
    words = [" or ".join(_kinds(field))]
    for bound, phrase in BOUNDS.items():
        words += [f"{phrase} {getattr(m, bound)}" for m in field.metadata if getattr(m, bound, None) is not None]
    return ", ".join(words)


def describe(field: FieldInfo) -> str:
    """What an option accepts: type or choices, range, default, meaning."""
    default = "required" if field.is_required() else f"default {field.get_default(call_default_factory=True)!r}"
    return f"{accepts(field)}, {default}" + (f". {field.description}" if field.description else "")


def option_error(label: str, fields: Mapping[str, FieldInfo], error: ValidationError) -> OptionError:
    """Everything that is wrong with the options, in one error."""
    what, why, near = [], [], []
    for detail in error.errors(include_url=False):
        name = str(detail["loc"][0]) if detail["loc"] else ""
        if detail["type"] == "extra_forbidden":
            what.append(f"{label} has no option '{name}'.")
            near += get_close_matches(name, fields, n=2)
        elif name in fields:
            value = "" if detail["type"] == "missing" else f" {detail['input']!r}"
            what.append(f"{label} cannot take option '{name}'{value}: {requirement(detail)}.")
            why.append(f"{name}: {describe(fields[name])}")
        else:
            what.append(f"{label} cannot take these options: {requirement(detail)}.")
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


def _kinds(field: FieldInfo) -> Iterator[str]:
    """The types of a field in words; without None where that is the default, which is said beside them."""
    annotation = field.annotation
    union = get_origin(annotation) in (Union, UnionType)
    unset = union and not field.is_required() and field.get_default(call_default_factory=True) is None
    for kind in get_args(annotation) if union else (annotation,):
        if kind is not NoneType:
            yield _type_name(kind)
        elif not unset:
            yield "none"


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(repr(choice) for choice in get_args(annotation))
    return annotation.__name__ if isinstance(annotation, type) else re.sub(r"\b(?:\w+\.)+(?=\w)", "", str(annotation))


def requirement(detail: ErrorDetails) -> str:
    """What a value must be, from one of pydantic's errors."""
    known = WORDS.get(detail["type"])
    if known is not None:
        bounds = detail.get("ctx", {}).items()
        return known.format(**{name: f"{value:g}" if isinstance(value, float) else value for name, value in bounds})
    message = detail["msg"].removeprefix("Value error, ").rstrip(".")
    return message[:1].lower() + message[1:]
