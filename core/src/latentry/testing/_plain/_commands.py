"""Conformance of commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from io import StringIO
from types import MappingProxyType
from typing import ClassVar

import click

from latentry._discovery._kinds import CORE_COMMANDS
from latentry._specs import CommandSpec
from latentry.testing._kit._checked import Checks
from latentry.testing._kit._record import listing_of, record_faults, summed
from latentry.testing._kit._suite import Suite
from latentry.testing._plain._subject import PlainSubject
from latentry.testing._result import CheckResult

CommandSubject = PlainSubject[CommandSpec]
Check = Callable[[CommandSubject], Iterable[CheckResult]]


def spec(subject: CommandSubject) -> Iterator[CheckResult]:
    """The record's fields are sane.

    Troubleshooting: the name must be free, and the summary one line for ``latentry --help``.
    """
    yield summed("spec", "a sane record", _record_faults(subject.spec))


def _record_faults(record: CommandSpec) -> Iterator[str]:
    yield from record_faults(record, CHECKS)
    if taken := CORE_COMMANDS & {record.name, *record.aliases}:
        yield f"the core has a command {min(taken)!r}"
    if not record.summary.strip():
        yield "the summary is empty"


def listing(subject: CommandSubject) -> Iterator[CheckResult]:
    """Listing the plugin's records imports no heavy library.

    Troubleshooting: import in the command's own function what only it needs; ``latentry --help`` reads the record.
    """
    yield from listing_of(subject)


def target(subject: CommandSubject) -> Iterator[CheckResult]:
    """The target is a click command, named as in the record, with a help text for it and for every option.

    Troubleshooting: decorate the function with ``@click.command()``, give it a docstring, and each option ``help=``.
    """
    yield summed("target", "a described click.Command", _target_faults(subject))


def _target_faults(subject: CommandSubject) -> Iterator[str]:
    command = subject.target
    if not isinstance(command, click.Command):
        yield f"the target is not a click.Command, its type is {type(command).__name__}"
        return
    if not (command.help or "").strip():
        yield "it has no help text"
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not (parameter.help or "").strip():
            yield f"the option {parameter.opts[0]} has no help text"


def help_text(subject: CommandSubject) -> Iterator[CheckResult]:
    """``--help`` prints a page and ends well; an unknown option is refused.

    Troubleshooting: do nothing when the module is imported, and leave ``--help`` and unknown options to click.
    """
    declared, out = "--help prints a page", StringIO()
    with redirect_stdout(out):
        code = _run(subject, "--help")
    found = out.getvalue().strip() and code == 0
    measured = "a page" if found else f"{len(out.getvalue())} characters and exit code {code}"
    yield CheckResult(check="help_text", declared=declared, measured=measured, passed=bool(found))
    code = _run(subject, "--an-option-that-nothing-has")
    yield CheckResult(
        check="help_text", declared="an unknown option is refused", measured=f"exit code {code}", passed=code == 2
    )


def _run(subject: CommandSubject, argument: str) -> int:
    """The exit code."""
    try:
        subject.target.main([argument], prog_name=subject.spec.name, standalone_mode=False, obj=subject.host)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        return error.exit_code
    return 0


_ALL: tuple[Check, ...] = (spec, listing, target, help_text)
CHECKS: Checks[CommandSubject] = MappingProxyType({check.__name__: check for check in _ALL})


class CommandSuite(Suite, checks=CHECKS):
    """The checks of a command as tests: ``class TestMine(CommandSuite): command = "mine"``.

    Class attributes:
        command: a name that is installed, or a ``CommandSpec``.
    """

    RECORD = "CommandSpec"
    command: ClassVar[str | CommandSpec]

    @classmethod
    def _resolved(cls) -> CommandSubject:
        return PlainSubject.of(cls.command, CommandSpec)
