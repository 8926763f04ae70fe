"""k-diffusion's samplers as schedulers, against the functions themselves."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from support.k_diffusion import missing, sampling
from torch import Tensor

from latentry import EDM, Flow, OptionError, Plan, PluginError, PluginHost, Prediction, Process, VariancePreserving
from latentry.testing import MixtureOracle, drive
from latentry.testing._run_checks import check_scheduler
from latentry.testing._subject import Subject
from latentry_bridge_k_diffusion import scheduler
from latentry_bridge_k_diffusion._records import records

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not installed: {missing()}")

NAMES = [spec.name for spec in records()]
DATA = MixtureOracle()
LEVELS = (14.6, 8.0, 4.0, 2.0, 1.0, 0.5, 0.2, 0.05)
VP: Process = VariancePreserving.from_betas()


@pytest.fixture(scope="module")
def k() -> Iterator[Any]:
    with sampling() as module:
        yield module


def _model(x: Tensor, sigma: Tensor, **_: Any) -> Tensor:
    return DATA.predict(x, EDM().at(s=float(sigma[0])))[0]


def _on_flow(x: Tensor, sigma: Tensor, **_: Any) -> Tensor:
    return DATA.predict(x, Flow().customary(float(sigma[0])))[0]


def _named(name: str, **options: Any) -> Any:
    return PluginHost().schedulers.create(f"latentry-bridge-k-diffusion:{name}", **options)


def _x(rows: int = 4) -> Tensor:
    return torch.randn(rows, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def _plan(made: Any, process: Process, levels: tuple[float, ...], *, end: bool) -> Plan:
    if not end:  # two levels above 0: what dpm_fast and dpm_adaptive take
        points = tuple(process.customary(level) for level in levels)
        return Plan(made, process, Prediction.V if process.kind == "vp" else Prediction.X0, points)
    return made.plan(process=process, prediction=Prediction.X0, sigmas=levels)  # type: ignore[no-any-return]


@pytest.mark.parametrize("process", [EDM(), VP], ids=["edm", "vp"])
@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("dpm-fast", "dpm-adaptive")])
def test_a_sampler_gives_the_numbers_that_the_function_gives(k: Any, name: str, process: Process) -> None:
    """Noise of the run against the same draws, in the same order."""
    draws = torch.randn(40, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    function, plan = getattr(k, f"sample_{name.replace('-', '_')}"), _plan(_named(name), process, LEVELS, end=True)
    given = {"noise_sampler": lambda sigma, sigma_next: next(drawn)} if name.endswith(("ancestral", "sde")) else {}
    x, drawn = LEVELS[0] * _x(), iter(draws)
    expected = function(_model, x, x.new_tensor([*LEVELS, 0.0]), disable=True, **given)
    got = drive(plan, x * plan.points[0].alpha, DATA.answer, noise=lambda like, i, draw, clock: draws[draw])
    assert torch.allclose(got, expected, rtol=0.0, atol=1e-7), (got - expected).abs().max()


@pytest.mark.parametrize("process", [EDM(), VP], ids=["edm", "vp"])
@pytest.mark.parametrize("options", [{}, {"order": 2, "rtol": 0.02}], ids=str)
def test_dpm_adaptive_takes_its_own_steps(k: Any, options: dict[str, Any], process: Process) -> None:
    """It draws noise even with eta = 0, of which float32's rounding of its levels leaves about 3e-4."""
    plan = _plan(_named("dpm-adaptive", **options), process, (14.6, 0.05), end=False)
    draws, asked = torch.randn(60, 1, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(6)), []

    def counting(x: Tensor, sigma: Tensor, **_: Any) -> Tensor:
        asked.append(float(sigma[0]))
        return _model(x, sigma)

    x = 14.6 * _x(1)
    drawn = iter(draws)
    expected = k.sample_dpm_adaptive(
        counting, x, 0.05, 14.6, disable=True, noise_sampler=lambda sigma, sigma_next: next(drawn), **options
    )
    run, levels = plan.start(x * plan.points[0].alpha, noise=lambda like, i, draw, clock: draws[draw]), []
    while (query := run.query) is not None:
        levels.append(query.point.s)
        run.advance(DATA.answer(query, plan))
    assert plan.evaluations is None
    assert levels == pytest.approx(asked, rel=1e-6)
    assert torch.allclose(run.sample / plan.points[-1].alpha, expected, rtol=0.0, atol=1e-6)


@pytest.mark.parametrize(("name", "levels"), [("dpm-fast", LEVELS), ("dpm-adaptive", (14.6,)), ("dpm-fast", (14.6,))])
def test_dpm_fast_and_dpm_adaptive_arrive_at_zero(k: Any, name: str, levels: tuple[float, ...]) -> None:
    """They take levels above 0: the last evaluation gives x₀, at the last level or at the cleanest of training."""
    plan, x = _plan(_named(name), VP, levels, end=True), _x(1)
    run = plan.start(x * plan.points[0].sigma)
    while (query := run.query) is not None:
        last = query
        run.advance(DATA.answer(query, plan))
    assert torch.allclose(run.sample, DATA.predict(last.x, last.point)[0], atol=1e-9)
    assert last.point.s == pytest.approx(VP.cleanest.s if name == "dpm-adaptive" else levels[-1], rel=1e-3)


@pytest.mark.parametrize("name", ["euler", "heun", "dpm-2", "lms", "dpmpp-2m"])
def test_on_a_flow_it_works_on_the_processes_own_sample_and_time(k: Any, name: str) -> None:
    levels = (1.0, 0.9, 0.7, 0.5, 0.3, 0.1)
    plan, x = _plan(_named(name), Flow(), levels, end=True), _x()
    function = getattr(k, f"sample_{name.replace('-', '_')}")
    expected = function(_on_flow, x, x.new_tensor([*levels, 0.0]), disable=True)
    assert torch.allclose(drive(plan, x, DATA.answer), expected, rtol=0.0, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_records_are_what_the_kit_finds(k: Any, name: str) -> None:
    """Its orders too: a history that began again at each interval would be of order 1."""
    subject = Subject.of(f"latentry-bridge-k-diffusion:{name}")
    exempt = dict(subject.spec.exemptions)
    checks = ("spec", "options", "evaluations", "noise", "off_grid", "edges")
    checks += () if name == "dpm-adaptive" else ("convergence", "resume")
    failed = [
        result for result in check_scheduler(subject, [c for c in checks if c not in exempt]) if not result.passed
    ]
    assert not failed, failed


def test_a_function_of_ones_own_is_a_scheduler_with_its_options() -> None:
    def sample_mine(model, x, sigmas, extra_args=None, callback=None, disable=None, part=0.5, s_churn=0.0):  # type: ignore[no-untyped-def]
        """Goes a part of the way."""
        for sigma in sigmas[:-1]:
            x = x + part * (model(x, sigma * x.new_ones(len(x))) - x)
        return x

    made = scheduler(sample_mine)
    assert made is scheduler(sample_mine)
    assert (made.__name__, made.__doc__) == ("Mine", "Goes a part of the way.")
    assert list(made.model_fields) == ["part"]  # without a noise_sampler, churn would not be the run's own noise
    with pytest.raises(OptionError, match="no_such"):
        made(no_such=1)
    plan = _plan(made(part=1.0), EDM(), (2.0,), end=True)
    x = _x()
    assert torch.allclose(drive(plan, x, DATA.answer), _model(x, torch.tensor([2.0])))


def test_another_function_is_refused() -> None:
    with pytest.raises(OptionError, match="not a sampler"):
        scheduler(lambda model, x: x)


def test_an_interrupt_passes_through_the_function(k: Any) -> None:
    run = _plan(_named("dpmpp-2m"), EDM(), LEVELS, end=True).start(_x())
    assert run.query is not None
    error = RuntimeError("interrupted")
    with pytest.raises(RuntimeError) as raised:
        run.throw(error)
    assert raised.value is error


def test_without_k_diffusion_its_records_are_listed_and_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.partition(".")[0] == "k_diffusion"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "k_diffusion", None)
    host = PluginHost()
    assert "latentry-bridge-k-diffusion:heun" in host.schedulers.names(everything=True)
    assert host.schedulers["heun"].target.startswith("latentry_heun")
    with pytest.raises(PluginError, match="pip install k-diffusion"):
        host.schedulers.load("latentry-bridge-k-diffusion:heun")
