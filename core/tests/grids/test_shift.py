"""Time shift: s = σ/α times k, once."""

from __future__ import annotations

import math

import pytest
from support.oracles import SD, ZTSNR

from latentry import Flow, IncompatibleError, Karras, Linspace, OptionError, Prediction, Trailing
from latentry.sigmas import (
    Beta,
    BetaSigmas,
    ExactSigmas,
    Exponential,
    KLOptimal,
    LinearQuadratic,
    Normal,
    Polyexponential,
    SGMUniform,
    SigmaSchedule,
    Simple,
    resolution_shift,
    shifted,
)

SHIFTABLE = [
    Beta(),
    BetaSigmas(),
    Exponential(),
    Karras(),
    KLOptimal(),
    LinearQuadratic(),
    Linspace(),
    Normal(),
    Polyexponential(),
    SGMUniform(),
    Simple(),
    Trailing(),
]
RULES = pytest.mark.parametrize("rule", SHIFTABLE, ids=repr)
FLOW = Flow()


@RULES
@pytest.mark.parametrize("factor", [0.5, 3.0, math.exp(1.15)])
def test_a_shift_multiplies_every_level_once(rule: SigmaSchedule, factor: float) -> None:
    plain = rule.points(12, FLOW)
    found = rule.model_copy(update={"shift": factor}).points(12, FLOW)
    assert [p.s for p in found] == pytest.approx([factor * p.s for p in plain])
    assert found[0] == FLOW.noisiest


@RULES
def test_a_shift_of_one_changes_not_a_bit(rule: SigmaSchedule) -> None:
    assert rule.model_copy(update={"shift": 1.0}).points(12, FLOW) == rule.levels(12, FLOW)


@pytest.mark.parametrize("t", [0.0, 1e-6, 0.3, 0.9, 1.0])
def test_it_is_the_time_shift_of_stable_diffusion_3(t: float) -> None:
    k = 3.0
    found = shifted(FLOW.customary(t), k, FLOW)
    assert found.sigma == pytest.approx(k * t / (1 + (k - 1) * t), rel=1e-12)
    assert found.timestep == pytest.approx(1000 * found.sigma)


@pytest.mark.parametrize("process", [FLOW, ZTSNR], ids=["flow", "ztsnr"])
def test_shifts_compose(process: Flow) -> None:
    point = process.at(s=1.7)
    twice = shifted(shifted(point, 3.0, process), 0.4, process)
    assert twice == pytest.approx(shifted(point, 1.2, process))


def test_the_ends_stay() -> None:
    assert shifted(FLOW.noisiest, 3.0, FLOW) == FLOW.noisiest
    assert shifted(FLOW.clean(), 3.0, FLOW) == FLOW.clean()


def test_a_shift_beyond_the_trained_levels_is_refused() -> None:
    with pytest.raises(IncompatibleError, match="leaves the noise levels"):
        Trailing(shift=3.0).points(10, SD)
    assert Trailing(shift=3.0).points(10, ZTSNR)[1].s == pytest.approx(3 * Trailing().points(10, ZTSNR)[1].s)


def test_a_callers_own_levels_take_no_shift() -> None:
    with pytest.raises(ValueError, match="takes no time shift"):
        ExactSigmas(values=(1.0,), shift=3.0)


def test_a_plan_holds_the_shifted_levels() -> None:
    from support.toys import First

    plan = First().plan(4, process=FLOW, prediction=Prediction.FLOW, sigmas=Trailing(shift=3.0))
    assert [p.sigma for p in plan.points] == pytest.approx([1, 0.9, 0.75, 0.5, 0])


def test_the_resolution_dependent_shift_is_a_line_through_two_sizes() -> None:
    assert resolution_shift(256) == pytest.approx(math.exp(0.5))
    assert resolution_shift(4096) == pytest.approx(math.exp(1.15))
    assert resolution_shift((256 + 4096) // 2) == pytest.approx(math.exp((0.5 + 1.15) / 2))
    assert resolution_shift(4096, rule="linear") == pytest.approx(1.15)
    assert resolution_shift(100, base=1.0, top=3.0, base_tokens=0, top_tokens=200, rule="linear") == pytest.approx(2)


@pytest.mark.parametrize("tokens", [0, -5])
def test_an_image_without_tokens_has_no_shift(tokens: int) -> None:
    with pytest.raises(OptionError, match="has no exponential time shift"):
        resolution_shift(tokens)
    with pytest.raises(OptionError, match="factor -0"):
        resolution_shift(1, base=-0.5, rule="linear")
