"""What is said of defaults: the few-step promise, and that strong guidance does not blow up."""

from __future__ import annotations

import runpy
from argparse import Namespace
from pathlib import Path

import pytest

from latentry import Engine, PluginHost
from latentry.testing import Subject, report
from latentry.testing._checks._accuracy._stability import MOST, growth
from latentry.testing._default_plans import default_plan, preferred
from latentry.testing._measuring._bench import Bench
from latentry.testing._measuring._ddim_steps import DDIMSteps
from latentry.testing._measuring._result_errors import PathError, path_errors
from latentry.testing._measuring._tables import figures
from latentry.testing._networks._processes import process

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "schedulers.md"
KINDS = pytest.mark.parametrize("kind", ["vp", "flow", "edm"])
DISTILLED = {"lcm", "tcd"}
"""For networks that have their guidance built in."""


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost()


def error(host: PluginHost, name: str, steps: int, kind: str, measure: PathError) -> float:
    subject, on = Subject.of(name, host=host), process(kind)  # type: ignore[arg-type]
    preference = preferred(subject, steps, on)
    assert preference is not None
    return measure(default_plan(subject, preference, steps, on))


@KINDS
@pytest.mark.parametrize("data", ["mixture", "spectrum"])
def test_unipc_in_8_steps_is_no_worse_than_ddim_in_30(host: PluginHost, kind: str, data: str) -> None:
    measure = path_errors()[data]
    assert error(host, "unipc", 8, kind, measure) <= error(host, "ddim", 30, kind, measure)  # type: ignore[arg-type]


@KINDS
@pytest.mark.parametrize("data", ["mixture", "spectrum"])
def test_unipc_in_10_steps_is_no_worse_than_ddim_in_50(host: PluginHost, kind: str, data: str) -> None:
    measure = path_errors()[data]
    assert error(host, "unipc", 10, kind, measure) <= error(host, "ddim", 50, kind, measure)  # type: ignore[arg-type]


@pytest.mark.parametrize("guidance", [1.0, None], ids=["without guidance", "with its own"])
def test_unipc_in_8_steps_is_no_worse_than_ddim_in_30_on_the_shipped_model(guidance: float | None) -> None:
    """The benchmark with half its seeds and a shorter reference, whose own error is a hundredth of theirs."""
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "unipc_promise.py"))
    words = ["--model", "shapes", "--seeds", "16", "--reference-steps", "80", "--device", "cpu"]
    given: Namespace = benchmark["_parser"]().parse_args(words)
    unipc, ddim = benchmark["measure"](Engine(PluginHost()), given, guidance)
    assert (unipc["scheduler"], unipc["steps"], ddim["scheduler"], ddim["steps"]) == ("unipc", 8, "ddim", 30)
    assert 0 < unipc["median"] <= ddim["median"]


@pytest.mark.parametrize("name", [name for name in PluginHost().schedulers if name not in DISTILLED])
def test_strong_guidance_does_not_blow_up(host: PluginHost, name: str) -> None:
    """At scale 7.5, in 4 to 20 steps of each scheduler's own, on every process it is for."""
    subject = Subject.of(name, host=host)
    found: dict[str, float] = {}
    for kind in sorted(subject.spec.processes):
        on = process(kind)
        for steps in (4, 5, 6, 7, 8, 9, 10, 12, 15, 20):
            preference = preferred(subject, steps, on)
            assert preference is not None
            found[f"{kind} in {steps} steps on {preference.name}"] = growth(
                default_plan(subject, preference, steps, on)
            )
    assert {where: grown for where, grown in found.items() if not grown < MOST} == {}


@KINDS
def test_ddim_needs_as_many_steps_as_ddim(host: PluginHost, kind: str) -> None:
    measure = path_errors()["mixture"]
    equivalents = DDIMSteps(host, measure)
    for steps in (8, 20, 40, 100):
        found = equivalents.steps(error(host, "ddim", steps, kind, measure), process(kind))  # type: ignore[arg-type]
        assert found == pytest.approx(steps, rel=0.1)
    assert equivalents.steps(1e-9, process(kind)) is None  # type: ignore[arg-type]


def test_the_page_is_of_these_schedulers_and_revisions(host: PluginHost) -> None:
    assert report.main([str(PAGE), "--check", "--only", "euler-ancestral"]) == 0


def test_a_page_of_other_revisions_is_found_out(
    host: PluginHost, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, now = tmp_path / "old.md", host.schedulers["unipc"].revision
    old.write_text(PAGE.read_text(encoding="utf-8").replace(f"unipc {now}", f"unipc {now - 1}"), encoding="utf-8")
    assert report.main([str(old), "--check"]) == 1
    assert "python -m latentry.testing.report" in capsys.readouterr().out


def test_a_page_with_other_figures_is_found_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, text = tmp_path / "old.md", PAGE.read_text(encoding="utf-8")
    there = report.figures_on(text)["Variance preserving", "Error of the variance, Gaussians", "euler-ancestral"]
    old.write_text(
        text.replace(f"| euler-ancestral | {there[0]:g} ", f"| euler-ancestral | {2 * there[0]:g} "), "utf-8"
    )
    assert report.main([str(old), "--check", "--only", "euler-ancestral"]) == 1
    assert "euler-ancestral" in capsys.readouterr().out


def test_the_page_shows_what_is_measured(host: PluginHost) -> None:
    text = PAGE.read_text(encoding="utf-8")
    for measured in Bench(host).measure("unipc"):
        for oracle in ("mixture", "spectrum"):
            assert f"| unipc | {' | '.join(figures(measured, oracle))} |" in text
