"""What a check found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """One finding.

    Attributes:
        check: the name of the check, as an exemption names it.
        case: the scheduler's options, ``default`` if there are none.
        process: the noise process; empty where the check uses none.
        declared: what the record or the contract requires.
        measured: what was found.
        passed: whether the two agree.
        hint: where to look if they disagree.
        exempt: the reason why the check was left out; such a finding counts as passed.
    """

    check: str
    case: str = "default"
    process: str = ""
    declared: str = ""
    measured: str = ""
    passed: bool = True
    hint: str = ""
    exempt: str = ""

    @property
    def verdict(self) -> str:
        """``ok``, ``FAILED`` or ``exempt``."""
        return "exempt" if self.exempt else "ok" if self.passed else "FAILED"

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.case, self.process) if part)
        return f"{self.check} ({where}): declared {self.declared}; measured {self.measured}"

    def record(self) -> dict[str, Any]:
        """The finding as plain values."""
        return {**asdict(self), "verdict": self.verdict}


def not_run(check: str, reason: str) -> CheckResult:
    """The finding of a check that does not apply, with the reason."""
    return CheckResult(check=check, case="all", declared="does not apply", measured="not run", exempt=reason)


def failures(results: Iterable[CheckResult]) -> str:
    """The failed findings as text; empty if none failed."""
    failed = [result for result in results if not result.passed]
    lines = [str(result) for result in failed]
    lines += dict.fromkeys(f"Troubleshooting: {result.hint}" for result in failed if result.hint)
    return "\n".join(lines)
