"""What is measured of schedulers: the measures in closed form, and the two ways to see the figures."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from latentry import (
    EDM,
    Flow,
    Interval,
    Noise,
    NoMemory,
    Plan,
    Prediction,
    Process,
    Scheduler,
    SchedulerSpec,
    SigmaPreference,
    Step,
    VariancePreserving,
)
from latentry._cli import main
from latentry.testing import Measured, SpectrumOracle, Subject
from latentry.testing._default_plans import affordable, preferred
from latentry.testing._measuring._bench import measured_order
from latentry.testing._measuring._result_errors import normal_points, path_errors, variance_error
from latentry.testing._measuring._tables import figures

PROCESSES = pytest.mark.parametrize("process", [VariancePreserving.from_betas(), Flow(), EDM()], ids=lambda p: p.kind)
LOOSE = """
from latentry import Scheduler, SchedulerSpec, hookimpl

@hookimpl
def latentry_schedulers():
    yield SchedulerSpec(name="loose", target="loose:Loose", summary="first order")
    yield SchedulerSpec(name="broken", target="loose:Nothing", summary="not there")

class Loose(Scheduler):
    def step(self, x, interval, memory, noise):
        return (yield interval.start.query(x)).at(interval.end), memory
"""


class First(Scheduler):
    def step(self, x: Any, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        return denoised.at(interval.end), memory


class Twice(First):
    """Two evaluations a step, one in the last."""

    def step(self, x: Any, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        if not interval.last:
            yield interval.end.query(denoised.at(interval.end))
        return denoised.at(interval.end), memory


def plan(process: Process) -> Plan:
    points = (process.noisiest, *(process.at(s=s) for s in (3.0, 0.5)), process.clean())
    return Plan(First(), process, Prediction.V, points)


def gains(made: Plan, data: torch.Tensor) -> torch.Tensor:
    """What a first-order step keeps of a Gaussian N(0, d): x₀ = α·d·x/v and ε = σ·x/v with v = α²·d + σ²."""
    kept = torch.ones_like(data)
    for a, b in pairwise(made.points):
        kept = kept * (a.alpha * b.alpha * data + a.sigma * b.sigma) / (a.alpha**2 * data + a.sigma**2)
    return kept


@PROCESSES
def test_the_error_on_the_spectrum_is_the_mean_over_all_starts(process: Process) -> None:
    made, data = plan(process), SpectrumOracle().variance
    first = made.points[0]
    exact = (data / (first.alpha**2 * data + first.sigma**2)).sqrt()
    expected = made.noise_scale() * (gains(made, data) - exact).square().mean().sqrt()
    assert path_errors()["spectrum"](made) == pytest.approx(float(expected), rel=1e-9)


@PROCESSES
def test_the_variance_error_is_that_of_the_gain(process: Process) -> None:
    made, data = plan(process), torch.tensor([0.1, 0.5, 2.0], dtype=torch.float64)
    first = made.points[0]
    found = gains(made, data).square() * (first.alpha**2 * data + first.sigma**2)
    expected = (found / data - 1.0).square().mean().sqrt()
    assert variance_error(data)(made) == pytest.approx(float(expected), rel=1e-9)


def test_the_points_fill_the_plane_as_noise_does() -> None:
    points = normal_points(4096)
    assert torch.allclose(points.mean(0), torch.zeros(2, dtype=torch.float64), atol=2e-3)
    assert torch.allclose(points.T @ points / 4096, torch.eye(2, dtype=torch.float64), atol=5e-3)
    within = float((points.norm(dim=1) < 1.0).double().mean())
    assert within == pytest.approx(1 - math.exp(-0.5), abs=1e-3)


def test_the_most_steps_that_can_be_afforded_are_laid_out() -> None:
    few = SigmaPreference("latentry:trailing", max_steps=3)
    spec = SchedulerSpec(name="twice", target="x:y", summary="", sigmas=(few, SigmaPreference("latentry:karras")))
    subject = Subject.of(Twice, spec=spec)
    for evaluations, steps, sigmas in ((5, 3, "trailing"), (6, 3, "trailing"), (8, 4, "karras"), (40, 20, "karras")):
        found = affordable(subject, evaluations, Flow())
        assert found is not None
        assert (len(found[0]), found[1].name) == (steps, f"latentry:{sigmas}")
        assert (found[0].evaluations or 0) <= evaluations
        assert preferred(subject, steps, Flow()) == found[1]


def test_an_exempt_order_is_not_measured() -> None:
    spec = SchedulerSpec(name="first", target="x:y", summary="", exemptions=(("convergence", "an example"),))
    assert measured_order(Subject.of(First, spec=spec), Flow()) is None
    assert measured_order(Subject.of(First), Flow()) == pytest.approx(1.0, abs=0.1)


def test_what_cannot_be_laid_out_is_a_dash() -> None:
    nothing = Measured(process="vp", error="path", order=None, spent=())
    assert figures(nothing, "mixture") == ["-"] * 5


def loose(tmp_path: Path) -> str:
    (tmp_path / "loose.py").write_text(LOOSE, encoding="utf-8")
    return f"--plugin-dir={tmp_path / 'loose.py'}"


@pytest.mark.slow
def test_verbose_measures_what_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schedulers", "loose", "broken", "--verbose", "--json", loose(tmp_path)]) == 0
    measured, broken = json.loads(capsys.readouterr().out)
    assert [one["process"] for one in measured["measured"]] == ["edm", "flow", "vp"]
    for one in measured["measured"]:
        assert one["order"] == pytest.approx(1.0, abs=0.1)
        assert [spent["evaluations"] for spent in one["spent"]] == [5, 8, 10, 20, 40]
        assert [spent["steps"] for spent in one["spent"]] == [5, 8, 10, 20, 40]
        errors = [spent["errors"]["mixture"] for spent in one["spent"]]
        assert errors == sorted(errors, reverse=True)
    assert broken["measured"] == []
    assert "Nothing" in broken["not_measured"]


@pytest.mark.slow
def test_verbose_prints_fields_and_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schedulers", "loose", "broken", "--verbose", loose(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "loose: first order" in printed
    assert "Its options cannot be read: " in printed
    assert "path, spectrum of images" in printed
    assert "Not measured: " in printed


def test_without_verbose_nothing_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schedulers", "loose", "--json", loose(tmp_path)]) == 0
    (measured,) = json.loads(capsys.readouterr().out)
    assert "measured" not in measured
