"""The checks of a kind as a pytest class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar
from unittest import SkipTest

from latentry.testing._kit._checked import Checks
from latentry.testing._kit._run import exemptions, run_check
from latentry.testing._result import failures


class Suite:
    """The base of the suites: each check is a test method, ``test_`` and its name.

    A check cannot be overridden. One that does not apply is exempted in the record, with a reason, which listings show:
    ``exemptions=(("convergence", "distilled: it has no order"),)``.
    """

    CHECKS: ClassVar[Checks[Any]] = {}
    RECORD: ClassVar[str] = "Spec"
    _subject: ClassVar[Any] = None
    _folder: ClassVar[TemporaryDirectory[str]]

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Callable[[], None]: ...

    def __init_subclass__(cls, *, checks: Checks[Any] | None = None) -> None:
        """``checks`` makes the suite of a kind; without it the class is the suite of one plugin."""
        super().__init_subclass__()
        if checks is None:
            _forbid_overrides(cls)
            return
        cls.CHECKS = checks
        for name, check in checks.items():
            setattr(cls, f"test_{name}", _proves(name, check.__doc__))

    @classmethod
    def subject(cls) -> Any:
        """What is checked, resolved once for each class."""
        if "_subject" not in vars(cls):
            cls._subject = cls._resolved()
        return cls._subject

    @classmethod
    def _scratch(cls) -> Path:
        """An empty folder that lasts as long as the class."""
        cls._folder = TemporaryDirectory(prefix="latentry-")
        return Path(cls._folder.name)

    @classmethod
    def _resolved(cls) -> Any:
        raise NotImplementedError


def _proves(name: str, doc: str | None) -> Callable[[Suite], None]:
    """A test method out of a check, with the check's docstring."""

    def test(self: Suite) -> None:
        subject = self.subject()
        if reason := exemptions(name, subject.spec).get(""):
            raise SkipTest(f"exempt: {reason}")
        results = list(run_check(self.CHECKS, name, subject))
        if failed := failures(results):
            raise AssertionError(failed)
        if results and all(result.exempt for result in results):
            raise SkipTest(results[0].exempt)

    test.__name__, test.__doc__ = f"test_{name}", doc
    return test


def _forbid_overrides(cls: type[Suite]) -> None:
    kind = next(base for base in cls.__mro__ if "CHECKS" in vars(base))
    names = [f"test_{name}" for name in cls.CHECKS]
    if changed := [name for name in names if getattr(cls, name) is not getattr(kind, name)]:
        raise TypeError(
            f"{cls.__name__} overrides {', '.join(changed)}. A check that does not apply is exempted in the "
            f"{cls.RECORD}, with a reason: exemptions=(({changed[0].removeprefix('test_')!r}, 'why'),)."
        )
