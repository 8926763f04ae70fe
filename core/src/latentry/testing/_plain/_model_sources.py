"""Conformance of model sources. Nothing here contacts anybody."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, ClassVar
from unittest import mock

from latentry._contract._model_source import FetchOptions, ModelSource, ResolvedPath
from latentry._errors import LatentryError
from latentry._specs import ModelSourceSpec
from latentry.testing._kit._checked import Checks
from latentry.testing._kit._record import listing_of, record_faults, summed
from latentry.testing._kit._suite import Suite
from latentry.testing._plain._subject import PlainSubject
from latentry.testing._result import CheckResult, not_run

SourceSubject = PlainSubject[ModelSourceSpec]
Check = Callable[[SourceSubject], Iterable[CheckResult]]
FOREIGN = ("", " ", "./model", "/models/sd", "../sd", "C:\\models\\sd", "model.safetensors", "?", "a\nb")
"""What no source has for a name."""


def spec(subject: SourceSubject) -> Iterator[CheckResult]:
    """The record's fields are sane, and it says what its names look like.

    Troubleshooting: ``names`` is read in messages: "Give a path, or owner/name of the Example Hub".
    """
    faults = [*record_faults(subject.spec, CHECKS)]
    yield summed("spec", "a sane record", faults or ([] if subject.spec.names.strip() else ["names is empty"]))


def listing(subject: SourceSubject) -> Iterator[CheckResult]:
    """Listing the plugin's records imports no heavy library.

    Troubleshooting: import the client of the service in the module that ``target`` names.
    """
    yield from listing_of(subject)


def foreign(subject: SourceSubject) -> Iterator[CheckResult]:
    """Paths, file names and nonsense are not claimed, and asking contacts nobody.

    Troubleshooting: ``claims`` compares the text with a pattern, ``re.fullmatch``; it asks no service and no disk.
    """
    source = _made(subject)
    asked: list[str] = []
    with _no_network(asked):
        claimed = [text for text in FOREIGN if source.claims(text)]
    yield summed("foreign", "claims none of them", [f"it claims {text!r}" for text in claimed])
    yield summed("foreign", "contacts nobody", [f"it looked up {host}" for host in asked])


def answers(subject: SourceSubject) -> Iterator[CheckResult]:
    """``claims`` gives True or False, the same each time, for whatever text.

    Troubleshooting: return a bool and keep nothing between calls.
    """
    source = _made(subject)
    texts = [*FOREIGN, "owner/name", "owner/name@v1", "https://example.org/a", "a:b", "ünïcode/名前", "x" * 5000]
    first = [source.claims(text) for text in texts]
    odd = [
        f"{answer!r} for {text[:20]!r}" for text, answer in zip(texts, first, strict=True) if type(answer) is not bool
    ]
    if [source.claims(text) for text in reversed(texts)] != first[::-1]:
        odd.append("another answer the second time")
    yield summed("answers", "True or False", odd)


def offline(subject: SourceSubject) -> Iterator[CheckResult]:
    """Without a network, a model that is not on this machine ends in one error that says what to do.

    Troubleshooting: with ``options.offline`` look into the cache alone, and raise a ``latentry.ModelError`` that says
    what to do.
    """
    source, text = _made(subject), subject.spec.example
    if not text:
        yield not_run("offline", "the record gives no example of its names")
        return
    asked: list[str] = []
    claimed = source.claims(text)
    yield CheckResult(check="offline", declared=f"claims {text!r}", measured=str(claimed), passed=claimed is True)
    with _no_network(asked):
        found = _fetched(source, text)
    yield summed("offline", "a path here, or a LatentryError with a remedy", [found] * bool(found))
    yield summed("offline", "contacts nobody", [f"it looked up {host}" for host in asked])


def _fetched(source: ModelSource, text: str) -> str:
    """What is wrong with the answer; empty where nothing is."""
    try:
        answer: object = source.fetch(text, FetchOptions(offline=True))
    except LatentryError as error:
        return "" if error.remedy else f"{type(error).__name__} without a remedy"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if not isinstance(answer, ResolvedPath):
        return f"not a ResolvedPath, its type is {type(answer).__name__}"
    return "" if answer.path.exists() else f"there is no {answer.path}"


def _made(subject: SourceSubject) -> ModelSource:
    source: ModelSource = subject.target()
    return source


@contextmanager
def _no_network(asked: list[str]) -> Iterator[None]:
    """Every connection fails, and its address is noted."""

    def refuse(*address: Any, **options: Any) -> Any:
        asked.append(str(address[-1] if isinstance(address[0], socket.socket) else address[0]))
        raise OSError("there is no network in this check")

    with mock.patch("socket.getaddrinfo", refuse), mock.patch("socket.socket.connect", refuse):
        yield


_ALL: tuple[Check, ...] = (spec, listing, foreign, answers, offline)
CHECKS: Checks[SourceSubject] = MappingProxyType({check.__name__: check for check in _ALL})


class ModelSourceSuite(Suite, checks=CHECKS):
    """The checks of a model source as tests: ``class TestMine(ModelSourceSuite): source = "mine"``.

    Class attributes:
        source: a name that is installed, or a ``ModelSourceSpec``.
    """

    RECORD = "ModelSourceSpec"
    source: ClassVar[str | ModelSourceSpec]

    @classmethod
    def _resolved(cls) -> SourceSubject:
        return PlainSubject.of(cls.source, ModelSourceSpec)
