"""Options made of a model's fields: ``GenerationRequest`` and ``MemoryPolicy`` are where they are declared."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin

import click

from latentry._cli._settings._settable import GENERATE, SET, given, is_typed, variable
from latentry._discovery._options import requirement
from latentry._errors import LatentryError, OptionError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    from latentry._request._values._option import Option

Model = TypeVar("Model", bound="BaseModel")
PATHS = {"vae", "tokenizer", "config", "loras", "embeddings"}
"""Fields whose values are paths, though their metavars do not say so."""
METAVARS: Mapping[Any, str] = {int: "INTEGER", float: "NUMBER", str: "TEXT"}


class FieldOption(click.Option):
    """The option of one or more fields. Its value is text, which the field converts and checks.

    Attributes:
        fields: their names.
        panel: the heading of the help.
        needs: the field without which it has no effect.
        unset: the value of the first field where nothing is given.
    """

    def __init__(self, fields: Sequence[str], info: FieldInfo, declared: Option) -> None:
        self.fields, self.panel, self.needs, self._read = tuple(fields), declared.panel, declared.needs, declared.read
        self._names, self._choices = declared.names, _choices(info.annotation)
        self.unset = info.get_default(call_default_factory=True)
        flag = bool in _members(info.annotation) and not declared.metavar
        super().__init__(
            [fields[0], spelling(fields[0], declared), *([declared.also] if declared.also else [])],
            is_flag=flag,
            default=None,
            multiple=declared.repeatable,
            metavar=None if flag else declared.metavar or _metavar(info.annotation),
            envvar=variable(fields[0]) if fields[0] in GENERATE else None,
            help=_help(info, repeatable=declared.repeatable),
        )

    def values(self, typed: Any) -> Mapping[str, Any]:
        """The fields that this option sets, by name.

        Raises:
            OptionError: the text cannot be read.
        """
        if self._read is None:
            return {self.fields[0]: typed}
        try:
            value: Any = self._read(*(typed if self.multiple else (typed,)))
        except ValueError as error:
            raise OptionError(f"{self.as_typed(typed)}: it must be {error}.", field=self.fields[0]) from error
        return value if len(self.fields) > 1 else {self.fields[0]: value}

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The values that it can have, the installed names, or a path where it takes one."""
        from latentry._cli._completion import choices, files, names_or_files

        if self._names:
            return names_or_files(ctx, self._names, incomplete)
        if self._choices:
            return choices(self._choices, incomplete)
        return files(incomplete) if {*self.fields} & PATHS or "PATH" in str(self.metavar) else []

    def as_typed(self, typed: Any) -> str:
        """The option with its text."""
        texts = () if self.is_flag else typed if self.multiple else (typed,)
        return " ".join((self.opts[0], *texts))


class PanelOption(click.Option):
    """An option of a command's own that stands among the fields' under a heading."""

    def __init__(self, *args: Any, panel: str, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.panel = panel


class FieldCommand(click.Command):
    """A command with options made of fields, which its help groups by their panels.

    Args:
        fields: makes the options; called when the command is run or asked for help, not when it is listed.
        own_heading: the heading of the help for the command's own options.
    """

    def __init__(self, *args: Any, fields: Callable[[], Iterable[FieldOption]], own_heading: str, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self._make_fields, self._own_heading = fields, own_heading

    @cached_property
    def field_options(self) -> tuple[FieldOption, ...]:
        """The options that are made of fields."""
        return tuple(self._make_fields())

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*self.field_options, *super().get_params(ctx)]

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error about a field begins with the option as it was typed."""
        try:
            return super().invoke(ctx)
        except LatentryError as error:
            said = {name: _said(ctx, option, text) for option, text in _typed_options(ctx) for name in option.fields}
            if (option := said.get(error.field or "")) and not error.what.startswith(("--", option)):
                error.what = f"{option}: {error.what}"
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        panels: dict[str, list[tuple[str, str]]] = {}
        for option in (param for param in self.get_params(ctx) if isinstance(param, click.Option)):
            heading = option.panel if isinstance(option, (FieldOption, PanelOption)) else self._own_heading
            if (record := option.get_help_record(ctx)) is not None:
                panels.setdefault(heading, []).append(record)
        for heading, records in panels.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def options_of(model: type[BaseModel], only: Container[str] | None = None) -> Iterator[FieldOption]:
    """The options of a model's fields, in their order; fields of one spelling make one option."""
    from latentry._request._values._option import declared_options

    by_spelling: dict[str, list[str]] = {}
    options = dict(declared_options(model))
    for name, declared in options.items():
        if only is None or name in only:
            by_spelling.setdefault(spelling(name, declared), []).append(name)
    for names in by_spelling.values():
        yield FieldOption(names, model.model_fields[names[0]], options[names[0]])


def typed_fields(
    context: click.Context,
    *,
    needing: bool = True,
    settings: Container[str] | None = None,
    elsewhere: Container[str] = frozenset(),
) -> dict[str, Any]:
    """The fields that were given, on the command line or as settings; all others keep their defaults.

    Args:
        context: of the command.
        needing: refuse an option without the one that it needs, which may be set elsewhere.
        settings: fields that count where they are set and not typed; None for all.
        elsewhere: fields that are set by what else is given, such as the lines of a file, and that options can need.

    Raises:
        OptionError: a text cannot be read, or an option has no effect without another.
    """
    options = [
        (option, value)
        for option, value in _typed_options(context)
        if settings is None or option.fields[0] in settings or is_typed(context, option)
    ]
    fields: dict[str, Any] = {}
    for option, typed in options:
        fields |= option.values(typed)
    for option, typed in options:
        if needing and option.needs and option.needs not in fields and option.needs not in elsewhere:
            raise OptionError(
                f"{_said(context, option, typed)}: it has no effect without {spelled(context, option.needs)}."
            )
    return fields


def settings_used(context: click.Context) -> dict[str, str]:
    """The fields that were set by the file or a variable, each with where and how."""
    return {
        name: _said(context, option, value)
        for option, value in _typed_options(context)
        if not is_typed(context, option)
        for name in option.fields
    }


def build(context: click.Context, model: type[Model], fields: Mapping[str, Any]) -> Model:
    """The model with the fields that were given.

    Raises:
        OptionError: values that fields cannot have, each with its option as typed and what it must be.
    """
    from pydantic import ValidationError

    try:
        return model(**fields)
    except ValidationError as error:
        options = {
            name: _said(context, option, typed) for option, typed in _typed_options(context) for name in option.fields
        }
        wrong: dict[str, str] = {}
        for detail in error.errors(include_url=False):
            name = str(detail["loc"][0]) if detail["loc"] else ""
            wrong.setdefault(name, f"{options.get(name, name)}: {requirement(detail)}.")
        raise OptionError("\n".join(wrong.values()), field=next(iter(wrong))) from error


def _typed_options(context: click.Context) -> Iterator[tuple[FieldOption, Any]]:
    assert isinstance(context.command, FieldCommand)
    for option in context.command.field_options:
        if option.name and context.get_parameter_source(option.name) in SET:
            yield option, context.params[option.name]


def _said(context: click.Context, option: FieldOption, value: Any) -> str:
    return given(context, option, value, option.as_typed(value))


def spelled(context: click.Context, field: str) -> str:
    """The option that sets a field."""
    assert isinstance(context.command, FieldCommand)
    return next(option.opts[0] for option in context.command.field_options if field in option.fields)


def spelling(field: str, declared: Option) -> str:
    """A field's option as it is typed."""
    return declared.spelling or f"--{field.replace('_', '-')}"


def _members(annotation: Any) -> tuple[Any, ...]:
    """A type, or those of a union, without None."""
    union = get_origin(annotation) in (Union, UnionType)
    return tuple(kind for kind in (get_args(annotation) if union else (annotation,)) if kind is not NoneType)


def _choices(annotation: Any) -> tuple[str, ...]:
    """The words of a field that has no other values."""
    kinds = _members(annotation)
    return get_args(kinds[0]) if len(kinds) == 1 and get_origin(kinds[0]) is Literal else ()


def _metavar(annotation: Any) -> str:
    (kind,) = _members(annotation)
    return "|".join(_choices(annotation)) or METAVARS[kind]


def _help(info: FieldInfo, *, repeatable: bool) -> str:
    default = info.get_default(call_default_factory=True)
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    remarks = ["repeatable"] if repeatable else []
    remarks += [f"default: {default}"] if default else []
    return (info.description or "") + (f"  [{'; '.join(remarks)}]" if remarks else "")
