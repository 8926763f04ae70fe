"""The checks as a pytest class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar
from unittest import SkipTest

from latentry._specs import AttentionBackendSpec
from latentry.testing._attention._all import CHECKS, check_attention
from latentry.testing._attention._subject import AttentionSource, AttentionSubject
from latentry.testing._result import failures
from latentry.testing._suite import forbid_overrides


def _proves(name: str) -> Callable[[Any], None]:
    def test(self: AttentionSuite) -> None:
        results = list(check_attention(self.subject(), (name,)))
        if reason := next((result.exempt for result in results if result.exempt), ""):
            raise SkipTest(reason)
        if failed := failures(results):
            raise AssertionError(failed)

    test.__name__, test.__doc__ = f"test_{name}", CHECKS[name].__doc__
    return test


class AttentionSuite:
    """The checks of an attention backend as tests: ``class TestMine(AttentionSuite): backend = "mine"``.

    Only what the record declares is used; one check makes sure that anything else is refused and not ignored.
    Everything is compared with the definition in float64, on every declared device that this machine has.

    Class attributes:
        backend: a name that is installed, a class, or an ``AttentionBackendSpec``.
        spec: the record of a class that is not installed.
        options: of the backend.
    """

    backend: ClassVar[AttentionSource]
    spec: ClassVar[AttentionBackendSpec | None] = None
    options: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    _subject: ClassVar[AttentionSubject | None] = None

    test_spec = _proves("spec")
    test_probe = _proves("probe")
    test_listing = _proves("listing")
    test_undeclared = _proves("undeclared")
    test_sizes = _proves("sizes")
    test_masks = _proves("masks")
    test_causal = _proves("causal")
    test_scale = _proves("scale")
    test_dtypes = _proves("dtypes")
    test_strides = _proves("strides")
    test_edges = _proves("edges")
    test_logits = _proves("logits")
    test_leavings = _proves("leavings")

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        forbid_overrides(cls, AttentionSuite, "AttentionBackendSpec")

    @classmethod
    def subject(cls) -> AttentionSubject:
        """The backend with its record, resolved once for each class."""
        if "_subject" not in vars(cls):
            cls._subject = AttentionSubject.of(cls.backend, spec=cls.spec, options=cls.options)
        assert cls._subject is not None
        return cls._subject
