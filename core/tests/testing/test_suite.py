"""The two faces of the kit: the pytest class and ``latentry check``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest

import pytest

from latentry import Interval, Noise, NoMemory, Scheduler, SchedulerSpec, Step, UnknownName
from latentry._cli import main
from latentry.testing import CHECKS, CheckResult, SchedulerSuite, Subject, check_scheduler

Failed = Callable[..., set[str]]

LOOSE = """
from latentry import SchedulerSpec, hookimpl, Scheduler
from pydantic import Field

@hookimpl
def latentry_schedulers():
    yield SchedulerSpec(name="loose", target="loose:Loose", summary="first order", order={order})

class Loose(Scheduler):
    gain: float = Field(default=1.0, description="multiplies x₀")

    def step(self, x, interval, memory, noise):
        denoised = yield interval.start.query(x)
        return denoised.with_x0(denoised.x0 * self.gain).at(interval.end), memory
"""


class First(Scheduler):
    def step(self, x: Any, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        return denoised.at(interval.end), memory


def spec(**fields: Any) -> SchedulerSpec:
    return SchedulerSpec(name="first", target="nowhere:First", summary="", **fields)


class TestFirst(SchedulerSuite):
    scheduler = First


def test_every_check_is_a_test_with_a_hint() -> None:
    assert {f"test_{name}" for name in CHECKS} == {name for name in dir(SchedulerSuite) if name.startswith("test_")}
    for name in CHECKS:
        doc = getattr(SchedulerSuite, f"test_{name}").__doc__
        assert "Troubleshooting: " in doc, name


def test_a_check_cannot_be_overridden() -> None:
    with pytest.raises(TypeError, match="overrides test_convergence") as caught:

        class TestMine(SchedulerSuite):
            scheduler = First
            test_convergence = None  # type: ignore[assignment]

    assert "exemptions=(('convergence', 'why'),)" in str(caught.value)


def test_a_failure_says_what_was_declared_and_measured() -> None:
    class Wrong(SchedulerSuite):
        scheduler = First
        spec: ClassVar[SchedulerSpec | None] = spec(order=2)

    with pytest.raises(AssertionError) as caught:
        Wrong().test_convergence()
    told = str(caught.value)
    assert "convergence (default, edm): declared order 2, even in λ: over 1.75; measured 0.9" in told
    assert "Troubleshooting: one order too low" in told


def test_an_exemption_is_shown_and_needs_a_reason() -> None:
    class Exempt(SchedulerSuite):
        scheduler = First
        spec: ClassVar[SchedulerSpec | None] = spec(order=2, exemptions=(("convergence", "an example"),))

    with pytest.raises(SkipTest, match="an example"):
        Exempt().test_convergence()
    (shown,) = check_scheduler(Exempt.subject(), ["convergence"])
    assert (shown.verdict, shown.exempt) == ("exempt", "an example")
    Exempt().test_spec()


def test_an_exemption_can_be_for_one_case() -> None:
    exempt = spec(order=2, exemptions=(("convergence[default]", "an example"),))
    (shown,) = check_scheduler(Subject.of(First, spec=exempt), ["convergence"])
    assert (shown.case, shown.verdict) == ("default", "exempt")


@pytest.mark.parametrize("exemption", [("convergence", " "), ("convergense", "why"), ("convergence[eta=2]", "why")])
def test_a_careless_exemption_fails(failed: Failed, exemption: tuple[str, str]) -> None:
    assert "spec" in failed(First, "spec", exemptions=(exemption,))


def test_a_check_that_raises_has_failed() -> None:
    class Raising(First):
        def step(self, x: Any, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
            raise RuntimeError("as planned")
            yield

    results = list(check_scheduler(Subject.of(Raising), ["arrival"]))
    assert [(r.passed, "as planned" in r.measured) for r in results] == [(False, True)]


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UnknownName):
        Subject.of("no-such-scheduler")


def loose(tmp_path: Path, order: int) -> str:
    path = tmp_path / "loose.py"
    path.write_text(LOOSE.replace("{order}", str(order)), encoding="utf-8")
    return f"--plugin-dir={path}"


def run(*arguments: str) -> int:
    try:
        return main(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)


@pytest.mark.slow
def test_the_command_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "loose", loose(tmp_path, 1)) == 0
    printed = capsys.readouterr().out
    assert "arrival" in printed
    assert "findings passed" in printed


@pytest.mark.slow
def test_the_command_fails_where_a_check_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "loose", "--json", loose(tmp_path, 2)) == 1
    results = json.loads(capsys.readouterr().out)["loose"]
    wrong = {result["check"] for result in results if result["verdict"] == "FAILED"}
    assert wrong == {"coefficients", "convergence"}
    assert set(results[0]) >= {"check", "case", "process", "declared", "measured", "passed", "hint"}


@pytest.mark.slow
def test_the_command_takes_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "loose", "--json", "--set", "gain=1.5", loose(tmp_path, 1)) == 1
    results = json.loads(capsys.readouterr().out)["loose"]
    assert "arrival" in {result["check"] for result in results if result["verdict"] == "FAILED"}
    assert {result["case"] for result in results} <= {"gain=1.5", "all"}


def test_a_finding_reads_as_a_sentence() -> None:
    result = CheckResult(check="arrival", process="vp", declared="x₀", measured="off by 1", passed=False)
    assert str(result) == "arrival (default, vp): declared x₀; measured off by 1"


def test_the_command_runs_the_checks_that_were_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "loose", "--json", "--only", "arrival", "--only", "spec", loose(tmp_path, 2)) == 0
    results = json.loads(capsys.readouterr().out)["loose"]
    assert list(dict.fromkeys(result["check"] for result in results)) == ["spec", "arrival"]
    assert run("check", "loose", "--only", "arival", loose(tmp_path, 1)) == 2
    assert "There is no check 'arival' of loose" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_takes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loose(tmp_path, 2)
    assert run("check", str(tmp_path / "loose.py"), "--only", "spec") == 0
    assert "loose: 1 finding passed" in capsys.readouterr().out
    assert run("check", str(tmp_path / "loose.py"), "--json", "--only", "convergence") == 1
    assert list(json.loads(capsys.readouterr().out)) == ["loose"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise RuntimeError('no luck')", "RuntimeError: no luck"),
        ("x = 1", "it implements no hook"),
        (None, "There is no such file or folder"),
    ],
)
def test_a_file_that_is_not_a_plugin_is_one_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], code: str | None, words: str
) -> None:
    path = tmp_path / "mine.py"
    if code is not None:
        path.write_text(code, encoding="utf-8")
    assert run("check", str(path)) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "checks"),
    [("karras", {"levels", "shift"}), ("leading", {"numbers", "elsewhere"}), ("loose", {"noise", "evaluations"})],
)
def test_the_command_checks_any_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, checks: set[str]
) -> None:
    only = [word for check in checks for word in ("--only", check)]
    assert run("check", name, "--json", *only, loose(tmp_path, 1)) == 0
    assert {result["check"] for result in json.loads(capsys.readouterr().out)[name]} == checks
