"""The checks of attention backends as a pytest class."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from latentry._specs import AttentionBackendSpec
from latentry.testing._attention._all import CHECKS
from latentry.testing._attention._subject import AttentionSource, AttentionSubject
from latentry.testing._kit._suite import Suite


class AttentionSuite(Suite, checks=CHECKS):
    """The checks of an attention backend as tests: ``class TestMine(AttentionSuite): backend = "mine"``.

    Only what the record declares is used; one check makes sure that anything else is refused and not ignored.
    Everything is compared with the definition in float64, on every declared device that this machine has.

    Class attributes:
        backend: a name that is installed, a class, or an ``AttentionBackendSpec``.
        spec: the record of a class that is not installed.
        options: of the backend.
    """

    RECORD = "AttentionBackendSpec"
    backend: ClassVar[AttentionSource]
    spec: ClassVar[AttentionBackendSpec | None] = None
    options: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    @classmethod
    def _resolved(cls) -> AttentionSubject:
        return AttentionSubject.of(cls.backend, spec=cls.spec, options=cls.options)
