"""Conformance of installed networks that steer a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from latentry._errors import LatentryError
from latentry._files._safety import check_weights
from latentry._specs import ControlSpec, Detection, ModelFiles
from latentry.testing._kit._checked import Checks
from latentry.testing._kit._record import licence_faults, listing_of, record_faults, summed
from latentry.testing._kit._suite import Suite
from latentry.testing._plain._subject import PlainSubject
from latentry.testing._result import CheckResult

ControlSubject = PlainSubject[ControlSpec]
Check = Callable[[ControlSubject], Iterable[CheckResult]]


def spec(subject: ControlSubject) -> Iterator[CheckResult]:
    """The record's fields are sane; its conditioner is installed, and the model it was trained for is a known name.

    Troubleshooting: ``conditioner`` and ``model`` are written ``distribution:name``, ``licence`` is an SPDX identifier.
    """
    yield summed("spec", "a sane record", _record_faults(subject))


def _record_faults(subject: ControlSubject) -> Iterator[str]:
    record, host = subject.spec, subject.host
    yield from record_faults(record, CHECKS)
    yield from licence_faults(record.licence)
    if record.conditioner not in host.conditioners:
        yield f"the conditioner {record.conditioner} is not installed"
    if record.model and record.model not in host.checkpoints:
        yield f"the model {record.model} is not installed"


def listing(subject: ControlSubject) -> Iterator[CheckResult]:
    """Listing the plugin's records imports no heavy library.

    Troubleshooting: the target only says where the files are.
    """
    yield from listing_of(subject)


def files(subject: ControlSubject) -> Iterator[CheckResult]:
    """The target names files that are here; they are complete, safe, and recognised by the conditioner it names.

    Troubleshooting: return ``Path(__file__).parent / "control"``, and have the build include the weights in the wheel.
    """
    yield summed("files", "whole, safe and recognised", _file_faults(subject))


def _file_faults(subject: ControlSubject) -> Iterator[str]:
    path = Path(subject.target())
    try:
        check_weights(path)
    except LatentryError as error:
        yield error.what
        return
    registry, name = subject.host.conditioners, subject.spec.conditioner
    if name in registry:
        found: Detection | None = registry.load(name, "detector")(ModelFiles(path))
        if found is None or not found.variants:
            yield f"{name} does not recognise them"


_ALL: tuple[Check, ...] = (spec, listing, files)
CHECKS: Checks[ControlSubject] = MappingProxyType({check.__name__: check for check in _ALL})


class ControlSuite(Suite, checks=CHECKS):
    """The checks of an installed control as tests: ``class TestMine(ControlSuite): control = "mine"``.

    Class attributes:
        control: a name that is installed, or a ``ControlSpec``.
    """

    RECORD = "ControlSpec"
    control: ClassVar[str | ControlSpec]

    @classmethod
    def _resolved(cls) -> ControlSubject:
        return PlainSubject.of(cls.control, ControlSpec)
