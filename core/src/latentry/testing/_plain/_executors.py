"""Conformance of executors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import ClassVar

from latentry._batch._work import BatchSettings, Executor, Line
from latentry._specs import ExecutorSpec
from latentry.testing._kit._checked import Checks
from latentry.testing._kit._record import listing_of, record_faults, summed
from latentry.testing._kit._suite import Suite
from latentry.testing._plain._subject import PlainSubject
from latentry.testing._result import CheckResult

ExecutorSubject = PlainSubject[ExecutorSpec]
Check = Callable[[ExecutorSubject], Iterable[CheckResult]]
LINES = tuple(Line(number, {"prompt": "a", "scheduler": f"nothing-is-called-{number}"}) for number in range(1, 6))
"""Lines that end in an error of their own before a model is needed."""
LOOSE = """
from latentry import SchedulerSpec, hookimpl

@hookimpl
def latentry_schedulers():
    yield SchedulerSpec(name="of-the-settings", target="of_the_settings:Nothing", summary="For a check.", order=1)
"""
"""A scheduler that only the settings of a batch know."""


def spec(subject: ExecutorSubject) -> Iterator[CheckResult]:
    """The record's fields are sane.

    Troubleshooting: the summary is one line that says where pictures are drawn.
    """
    yield summed("spec", "a sane record", record_faults(subject.spec, CHECKS))


def listing(subject: ExecutorSubject) -> Iterator[CheckResult]:
    """Listing the plugin's records imports no heavy library.

    Troubleshooting: import in ``run`` what only it needs.
    """
    yield from listing_of(subject)


def each_line_once(subject: ExecutorSubject) -> Iterator[CheckResult]:
    """Every line comes back once, and the fault of a line is in it: the others are drawn.

    Troubleshooting: draw with ``latentry.batches.draw_line``, which makes values of errors.
    """
    yield summed("each_line_once", "each line once, with its own error", _line_faults(subject))


def _line_faults(subject: ExecutorSubject) -> Iterator[str]:
    executor: Executor = subject.target()
    for time in ("", " the second time"):
        drawn = list(executor.run(LINES, BatchSettings()))
        numbers = sorted(one.number for one in drawn)
        if numbers != [line.number for line in LINES]:
            yield f"the lines {[line.number for line in LINES]} came back as {numbers}{time}"
        for one in drawn:
            if one.files or one.error is None or f"nothing-is-called-{one.number}" not in one.error["what"]:
                yield f"line {one.number} came back as {one}{time}"


def settings(subject: ExecutorSubject) -> Iterator[CheckResult]:
    """What draws has the plugins that the settings name.

    Troubleshooting: make engines with ``settings.engine()``, wherever they are.
    """
    line = Line(1, {"prompt": "a", "scheduler": "of-the-settings"})
    with TemporaryDirectory() as folder:
        loose = Path(folder) / "of_the_settings.py"
        loose.write_text(LOOSE, encoding="utf-8")
        drawn = list(subject.target().run((line,), BatchSettings(plugin_dirs=(loose,))))
    # it ends in an error all the same: the scheduler has no code
    unknown = [one for one in drawn if one.error is None or one.error["code"] == "unknown_name"]
    yield summed("settings", "the plugins of the settings", (f"line {one.number}: {one.error}" for one in unknown))


def no_lines(subject: ExecutorSubject) -> Iterator[CheckResult]:
    """Without lines nothing comes back.

    Troubleshooting: there may be nothing left to do where a batch is resumed.
    """
    found = list(subject.target().run((), BatchSettings()))
    yield CheckResult(check="no_lines", declared="nothing", measured=str(found or "nothing"), passed=not found)


_ALL: tuple[Check, ...] = (spec, listing, each_line_once, settings, no_lines)
CHECKS: Checks[ExecutorSubject] = MappingProxyType({check.__name__: check for check in _ALL})


class ExecutorSuite(Suite, checks=CHECKS):
    """The checks of an executor as tests: ``class TestMine(ExecutorSuite): executor = "mine"``.

    Class attributes:
        executor: a name that is installed, or an ``ExecutorSpec``.
    """

    RECORD = "ExecutorSpec"
    executor: ClassVar[str | ExecutorSpec]

    @classmethod
    def _resolved(cls) -> ExecutorSubject:
        return PlainSubject.of(cls.executor, ExecutorSpec)
