"""Calling a plugin's code: what it raises becomes a ``PluginError`` that names the plugin and the line."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from traceback import walk_tb
from types import FrameType, TracebackType
from typing import ParamSpec, TypeVar

from latentry._discovery._loading._sources import Provenance
from latentry._discovery._owner import Owner, owner_of
from latentry._discovery._problems import cause
from latentry._errors import LatentryError, PluginError

P = ParamSpec("P")
R = TypeVar("R")


class Leaving(BaseException):
    """Leaves what is being drawn, which the host does not want to go on. No error: calls of plugins let it pass."""


_PASSED = (LatentryError, KeyboardInterrupt, GeneratorExit, Leaving)
"""Not a plugin's fault: a message of its own, the user's Ctrl-C, how a generator is closed, and the host's own."""
_FROM_HOST = "_latentry_from_host"


class plugin_call:  # a context manager, and lower case like those of contextlib
    """Around every call into a plugin: ``with plugin_call(scheduler): ...``.

    An exception becomes a ``PluginError`` that names the record, its distribution, and the file and line in the
    plugin; the original is its cause. These pass unchanged: ``LatentryError``, Ctrl-C, a failed allocation, and what a
    callback of the host raised (see ``host_callback``). A generator's ``StopIteration`` is caught within the block.

    Entering and leaving costs well under a microsecond, and an instance can be kept and entered again, also from
    several threads: whose code it is, is looked up only after a failure.

    Args:
        subject: an object, a class or a function of the plugin; or its provenance, where that is known.
        record: what messages call it, e.g. ``scheduler 'mine'``; by default the name it is registered under.
    """

    __slots__ = ("_record", "_subject")

    def __init__(self, subject: object, record: str = "") -> None:
        self._subject, self._record = subject, record

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, _PASSED) or is_out_of_memory(error) or hasattr(error, _FROM_HOST):
            return
        raise _plugin_error(self._subject, self._record, error, traceback) from error


def host_callback(function: Callable[P, R]) -> Callable[P, R]:
    """A function of the host that a plugin will call: what it raises reaches the host as it is."""

    @wraps(function)
    def marked(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            from_host(error)
            raise

    return marked


def from_host(error: BaseException) -> BaseException:
    """An error of the host's that will pass through a plugin's code: it reaches the host as it is."""
    setattr(error, _FROM_HOST, True)
    return error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is a failed allocation, on any device; torch need not be imported for it."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    words = ("not enough memory", "can't allocate memory")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def _plugin_error(subject: object, record: str, error: BaseException, traceback: TracebackType | None) -> PluginError:
    frames = list(walk_tb(traceback))[1:]  # the first is the caller's own
    owner = Owner(subject, "record") if isinstance(subject, Provenance) else owner_of(subject)
    package = owner.package or next((top_level(frame) for frame, _ in frames), "")
    own = [(frame, line) for frame, line in frames if top_level(frame) == package]
    place = "".join(f" ({f.f_code.co_filename}:{line}, in {f.f_code.co_name})" for f, line in (own or frames)[-1:])
    who = owner.provenance
    return PluginError(
        f"The {record or owner.record} of {who.label} failed.",
        why=f"{cause(error)}{place}",
        remedy=f"Report it to the plugin's author, or look for a newer release of {who.distribution}."
        if who.version
        else "Correct the code there.",
    )


def top_level(frame: FrameType) -> str:
    """The package whose code a frame runs."""
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
