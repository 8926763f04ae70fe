"""Each rule against its formula, written out here anew; against diffusers' code see tests/parity."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from support.oracles import SD, ZTSNR

from latentry import EDM, Flow, IncompatibleError, Karras, Leading, Linspace, OptionError, Process, Trailing
from latentry._numerics._grids._rules._beta_quantile import beta_quantile
from latentry.sigmas import (
    AlignYourSteps,
    Beta,
    BetaSigmas,
    Exponential,
    KLOptimal,
    LinearQuadratic,
    Normal,
    Polyexponential,
    SGMUniform,
    SigmaSchedule,
    Simple,
)

EVERY_RANGE = [Karras(), Exponential(), Polyexponential(rho=2.0), KLOptimal(), BetaSigmas()]
COUNTS = pytest.mark.parametrize("steps", [1, 2, 3, 10, 25, 50])


def s(schedule: SigmaSchedule, steps: int, process: Process) -> list[float]:
    return [point.s for point in schedule.points(steps, process)]


def t(schedule: SigmaSchedule, steps: int, process: Process) -> list[float]:
    return [point.timestep for point in schedule.points(steps, process)]


# rules in time


@COUNTS
@pytest.mark.parametrize("rule", [Trailing(), Normal(), SGMUniform(), Simple()], ids=repr)
def test_even_time_on_a_flow_is_one_down_to_one_nth(rule: SigmaSchedule, steps: int) -> None:
    points = rule.points(steps, Flow())
    assert [p.sigma for p in points] == pytest.approx(np.linspace(1.0, 1.0 / steps, steps), abs=1e-15)
    assert points[0].alpha == 0.0


@pytest.mark.parametrize("rule", [Trailing(), Simple(), SGMUniform()], ids=repr)
def test_even_time_on_edm_is_even_in_log_sigma(rule: SigmaSchedule) -> None:
    expected = [80.0 * (0.002 / 80.0) ** (i / 12) for i in range(12)]
    assert s(rule, 12, EDM()) == pytest.approx(expected)


@COUNTS
def test_linspace_on_a_flow_ends_where_its_option_says(steps: int) -> None:
    expected = np.linspace(1.0, 0.25, steps)
    assert [p.sigma for p in Linspace(last=0.25).points(steps, Flow())] == pytest.approx(expected)


def test_the_multistep_spacings_leave_the_cleanest_out() -> None:
    assert t(Linspace(multistep=True, rounded=True), 5, SD) == [999, 799, 599, 400, 200]
    assert t(Leading(multistep=True), 5, SD) == [831, 665, 499, 333, 167]


@COUNTS
def test_simple_rounds_to_the_noisy_side(steps: int) -> None:
    assert t(Simple(), steps, SD) == [999 - math.floor(i * 1000 / steps) for i in range(steps)]


@COUNTS
def test_sgm_uniform_in_whole_timesteps_rounds_down(steps: int) -> None:
    expected = np.linspace(999, 0, steps, endpoint=False).astype(int)
    assert t(SGMUniform(rounded=True), steps, SD) == expected.tolist()


@COUNTS
def test_normal_on_a_table_holds_both_ends(steps: int) -> None:
    assert t(Normal(), steps, SD) == pytest.approx(np.linspace(999, 0, steps))


@pytest.mark.parametrize("rule", [Linspace(rounded=True), SGMUniform(rounded=True), Beta(rounded=True)], ids=repr)
def test_whole_timesteps_are_refused_where_there_are_none(rule: SigmaSchedule) -> None:
    with pytest.raises(IncompatibleError, match="picks whole timesteps"):
        rule.points(10, Flow())


# rules between two levels


@pytest.mark.parametrize("rho", [1.0, 3.0, 7.0])
@pytest.mark.parametrize("steps", [2, 10, 33])
def test_karras_is_equation_5(rho: float, steps: int) -> None:
    found = s(Karras(rho=rho, sigma_max=10.0, sigma_min=0.1), steps, SD)
    roots = np.asarray(found) ** (1 / rho)
    assert roots == pytest.approx(np.linspace(10.0 ** (1 / rho), 0.1 ** (1 / rho), steps))


def test_exponential_is_even_in_lambda() -> None:
    gaps = np.diff([p.lam for p in Exponential().points(15, EDM())])
    assert gaps == pytest.approx([math.log(80 / 0.002) / 14] * 14)


@pytest.mark.parametrize("rho", [0.5, 1.0, 2.0])
def test_polyexponential_is_a_power_in_log_sigma(rho: float) -> None:
    part = [
        math.log(x / 0.05) / math.log(12.0 / 0.05)
        for x in s(Polyexponential(rho=rho, sigma_max=12, sigma_min=0.05), 9, SD)
    ]
    assert part == pytest.approx(np.linspace(1, 0, 9) ** rho, abs=1e-12)


@pytest.mark.parametrize("process", [SD, ZTSNR, Flow(), EDM()], ids=["vp", "ztsnr", "flow", "edm"])
def test_kl_optimal_is_even_in_the_angle(process: Process) -> None:
    angles = [math.atan2(p.sigma, p.alpha) for p in KLOptimal().points(12, process)]
    assert np.diff(angles) == pytest.approx([(angles[-1] - angles[0]) / 11] * 11)


@pytest.mark.parametrize("rule", EVERY_RANGE, ids=repr)
@pytest.mark.parametrize("process", [SD, EDM()], ids=["vp", "edm"])
def test_the_whole_trained_range_is_run_by_default(rule: SigmaSchedule, process: Process) -> None:
    found = s(rule, 10, process)
    assert (found[0], found[-1]) == pytest.approx((process.noisiest.s, process.cleanest.s))


@pytest.mark.parametrize("rule", EVERY_RANGE, ids=repr)
@pytest.mark.parametrize("process", [ZTSNR, Flow()], ids=["ztsnr", "flow"])
def test_from_pure_noise_the_rule_runs_on_from_a_finite_level(rule: SigmaSchedule, process: Process) -> None:
    given = rule.model_copy(update={"sigma_max": 12.0, "sigma_min": 0.05})
    found = s(given, 10, process)
    assert found[0] == math.inf
    assert found[1:] == pytest.approx(s(given, 10, SD)[1:])
    assert rule.points(1, process) == (process.noisiest,)


@pytest.mark.parametrize("rule", EVERY_RANGE, ids=repr)
def test_on_a_flow_the_defaults_stay_in_the_range_where_pictures_form(rule: SigmaSchedule) -> None:
    found = rule.points(20, Flow())
    assert found[0].alpha == 0.0
    assert found[1].s < 200.0  # Karras' σ used raw as t would begin at σ/α = 157 and beyond 1
    assert found[-1].s == pytest.approx(0.02)


@pytest.mark.parametrize("spacing", [Leading(), Linspace(), Trailing()], ids=repr)
@pytest.mark.parametrize("rule", EVERY_RANGE, ids=repr)
def test_a_range_may_be_that_of_a_spacing(rule: SigmaSchedule, spacing: SigmaSchedule) -> None:
    ends = s(spacing, 10, SD)
    found = s(rule.model_copy(update={"span": type(spacing).__name__.lower()}), 10, SD)
    assert (found[0], found[-1]) == pytest.approx((ends[0], ends[-1]))


def test_on_a_flow_a_rule_may_lay_out_t_itself() -> None:
    found = [p.sigma for p in Karras(variable="t", rho=3.0).points(9, Flow())]
    assert np.asarray(found) ** (1 / 3) == pytest.approx(np.linspace(1.0, 0.1, 9))
    with pytest.raises(IncompatibleError, match="variable 't'"):
        Karras(variable="t").points(9, SD)


@pytest.mark.parametrize("options", [{"sigma_max": 80.0}, {"sigma_min": 20.0}, {"sigma_max": 0.5, "sigma_min": 1.0}])
def test_a_range_that_is_invalid_is_one_clear_error(options: dict[str, float]) -> None:
    with pytest.raises(OptionError, match="Karras cannot run from"):
        Karras(**options).points(10, SD)


# shapes and tables


@pytest.mark.parametrize(("a", "b"), [(0.6, 0.6), (0.3, 2.0), (5.0, 1.0), (50.0, 60.0)])
def test_the_quantile_inverts_the_distribution(a: float, b: float) -> None:
    """The density's integral, by a substitution that takes the end's singularity away, gives the part back."""
    parts = [0.0, 1e-3, 0.2, 0.5, 0.9, 0.99]
    nodes, weights = np.polynomial.legendre.leggauss(400)
    scale = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b))
    power = max(1.0, 1.0 / a)
    for part, x in zip(parts, beta_quantile(parts, a, b), strict=True):
        u = x ** (1 / power) * (nodes + 1) / 2  # x = u^power
        density = scale * u ** (power * a - 1) * (1 - u**power) ** (b - 1) * power
        assert np.sum(weights * density) * x ** (1 / power) / 2 == pytest.approx(part, abs=1e-9)
    assert beta_quantile([1.0], a, b) == [1.0]


def test_the_quantile_of_an_arcsine_is_a_squared_sine() -> None:
    parts = np.linspace(0.0, 1.0, 21)
    assert beta_quantile(parts.tolist(), 0.5, 0.5) == pytest.approx(np.sin(math.pi / 2 * parts) ** 2, abs=1e-14)


@COUNTS
def test_beta_is_the_quantile_of_time(steps: int) -> None:
    parts = [1 - i / steps for i in range(steps)]
    arcsine = [math.sin(math.pi / 2 * p) ** 2 for p in parts]
    rule = Beta(alpha=0.5, beta=0.5)
    assert [p.sigma for p in rule.points(steps, Flow())] == pytest.approx(arcsine)
    assert t(rule, steps, SD) == pytest.approx([999 * u for u in arcsine])
    assert t(Beta(alpha=0.5, beta=0.5, rounded=True), steps, SD) == [round(999 * u) for u in arcsine]


@COUNTS
def test_beta_of_one_and_one_is_even(steps: int) -> None:
    assert t(Beta(alpha=1, beta=1), steps, SD) == pytest.approx(t(SGMUniform(), steps, SD))


def test_the_two_betas_differ_by_a_factor_at_mid_range() -> None:
    assert s(BetaSigmas(), 21, SD)[10] > 4 * s(Beta(), 20, SD)[10]


@pytest.mark.parametrize("steps", [4, 10, 20, 50])
@pytest.mark.parametrize("threshold", [0.025, 0.1])
def test_linear_quadratic_is_linear_then_a_parabola_without_a_kink(steps: int, threshold: float) -> None:
    removed = 1 - np.array([p.sigma for p in LinearQuadratic(threshold=threshold).points(steps, Flow())] + [0.0])
    half = steps // 2
    assert removed[: half + 1] == pytest.approx(np.linspace(0, threshold, half + 1), abs=1e-12)
    parabola = np.polynomial.Polynomial.fit(range(half, steps + 1), removed[half:], 2)
    assert parabola(np.arange(half, steps + 1)) == pytest.approx(removed[half:], abs=1e-9)
    assert parabola.deriv()(half) == pytest.approx(threshold / half)
    assert removed[-1] == 1.0


def test_linear_quadratic_that_would_turn_back_is_refused() -> None:
    with pytest.raises(OptionError, match="do not give falling noise levels"):
        LinearQuadratic(threshold=0.9, linear_steps=1).points(20, Flow())
    with pytest.raises(OptionError, match="do not give falling noise levels"):
        LinearQuadratic(linear_steps=8).points(8, Flow())


def test_align_your_steps_interpolates_in_log_sigma() -> None:
    ten, twenty, five = (s(AlignYourSteps(), n, SD) for n in (10, 20, 5))
    assert twenty[::2] == pytest.approx(ten)
    assert five == pytest.approx(ten[::2])
    assert twenty[1::2][:9] == pytest.approx([math.sqrt(a * b) for a, b in pairwise(ten)])


def test_align_your_steps_refuses_another_range_and_a_shift() -> None:
    for process in (ZTSNR, EDM()):
        with pytest.raises(IncompatibleError, match="does not fit this checkpoint"):
            AlignYourSteps().points(10, process)
    with pytest.raises(ValueError, match="takes no time shift"):
        AlignYourSteps(shift=3.0)
