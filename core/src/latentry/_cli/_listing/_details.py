"""The pieces of which everything about one record is printed."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from textwrap import wrap
from typing import Any

from latentry._cli._printing._output import Column, print_prose, print_records, prose_width, say
from latentry._discovery import Registry
from latentry._discovery._options import accepts
from latentry._errors import LatentryError, visible
from latentry._specs import Spec


def print_head(name: str, summary: str, prose: str) -> None:
    """Print the name, what it is, and a paragraph about it."""
    print_prose(f"{name}: {summary}")
    say("")
    print_prose(prose)


def print_facts(facts: Mapping[str, str]) -> None:
    """Print lines of a label and a text; empty texts are left out."""
    given = {label: text for label, text in facts.items() if text}
    wide = max(map(len, given), default=0) + 2
    for label, text in given.items():
        first, *more = wrap(
            visible(text), max(prose_width() - wide - 2, 20), break_long_words=False, break_on_hyphens=False
        ) or [""]
        say(f"  {label.ljust(wide)}{first}")
        for line in more:
            say(f"  {'':{wide}}{line}")


def print_section(title: str) -> None:
    """Print a heading."""
    say("")
    print_prose(title)


def print_options(target: Any, title: str, remark: str = "") -> None:
    """Print a table of the options of a class, which is a pydantic model or has keyword arguments."""
    rows = list(_options(target))
    if not rows:
        print_section(f"{title}: none.")
        return
    print_section(f"{title} {remark}".rstrip() + ":")
    columns = [Column(heading, itemgetter(i)) for i, heading in enumerate(("  name", "default", "values"))]
    if any(row[3] for row in rows):
        columns.append(Column("meaning", itemgetter(3), rank=1, cut=True))
    print_records(columns, rows)


def _options(target: Any) -> Iterator[Sequence[str]]:
    fields = getattr(target, "model_fields", None)
    if fields is not None:
        for name, info in fields.items():
            default = "required" if info.is_required() else plain_value(info.get_default(call_default_factory=True))
            yield f"  {name}", default, accepts(info).replace("'", ""), info.description or ""
        return
    for parameter in inspect.signature(target).parameters.values():
        default = "required" if parameter.default is parameter.empty else plain_value(parameter.default)
        kind = "" if parameter.annotation is parameter.empty else str(parameter.annotation)
        yield f"  {parameter.name}", default, kind.replace("'", ""), ""


def plain_value(value: Any) -> str:
    """A value of an option as it is typed."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or value in ((), frozenset()):
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def pairs(options: Sequence[tuple[str, Any]] | Sequence[Sequence[Any]]) -> str:
    """Options with their values, in one line."""
    return ", ".join(f"{name} {plain_value(value)}" for name, value in options)


def listed(items: Sequence[str], last: str = "and") -> str:
    """Items as in a sentence."""
    return f"{', '.join(items[:-1])} {last} {items[-1]}" if len(items) > 1 else "".join(items)


def not_checked(spec: Spec) -> str:
    """The checks of the conformance suite that a record exempts itself from, with its reasons."""
    return "; ".join(f"{check}: {why}" for check, why in spec.exemptions)


def files_of(registry: Registry[Any], name: str) -> str:
    """Where the files of a record are whose target gives their path, or why there are none."""
    try:
        return str(Path(registry.load(name)()))
    except LatentryError as error:
        return f"none: {error.why or error.what}"
    except Exception as error:  # a plugin's
        return f"none: {type(error).__name__}: {error}"
