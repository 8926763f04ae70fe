"""Sigma schedules against diffusers' own schedulers and functions, run here.

The peers give σ/α (flow: σ) in float32, so 1e-6 relative is equality; they are handed the float64 table, because
their own, in float32 too, errs by 1.3e-5 at its least level. Between two timesteps of a table the levels differ more:
diffusers interpolates σ/α there, we the angle, which is finite at both ends.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    UniPCMultistepScheduler,
)
from diffusers.pipelines.flux.pipeline_flux import calculate_shift
from diffusers.pipelines.mochi.pipeline_mochi import linear_quadratic_schedule
from diffusers.schedulers import AysSchedules
from scipy.stats import beta as beta_distribution
from support.oracles import SD

from latentry import Flow, Karras, Leading, Linspace, OptionError, Trailing
from latentry._numerics._grids._rules._beta_quantile import beta_quantile
from latentry.sigmas import (
    AlignYourSteps,
    BetaSigmas,
    Exponential,
    LinearQuadratic,
    SGMUniform,
    SigmaSchedule,
    resolution_shift,
)

SD_BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
COUNTS = pytest.mark.parametrize("steps", [2, 3, 5, 10, 20, 50])
RANGED: list[tuple[type[SigmaSchedule], str]] = [
    (Karras, "use_karras_sigmas"),
    (Exponential, "use_exponential_sigmas"),
    (BetaSigmas, "use_beta_sigmas"),
]


def on_sd(peer: type[Any], **options: Any) -> Any:
    """The peer on Stable Diffusion's table."""
    made = peer(**SD_BETAS, **options)
    made.alphas_cumprod = torch.tensor(SD.alphas_cumprod, dtype=torch.float64)
    return made


def levels(scheduler: Any, steps: int | None = None, **how: Any) -> list[float]:
    """The peer's noise levels, the ending left out."""
    scheduler.set_timesteps(steps, **how)
    return scheduler.sigmas[:-1].double().tolist()


def ours(schedule: SigmaSchedule, steps: int) -> list[float]:
    return [point.s for point in schedule.points(steps, SD)]


def on_flow(schedule: SigmaSchedule, steps: int) -> list[float]:
    return [point.sigma for point in schedule.points(steps, Flow())]


@COUNTS
@pytest.mark.parametrize(("rule", "flag"), RANGED)
def test_the_whole_range_is_dpm_solvers_and_unipcs(rule: type[SigmaSchedule], flag: str, steps: int) -> None:
    for peer in (DPMSolverMultistepScheduler, UniPCMultistepScheduler):
        found = levels(on_sd(peer, **{flag: True}), steps)
        assert ours(rule(), steps) == pytest.approx(found, rel=1e-6)


@COUNTS
def test_uniform_lambda_is_dpm_solvers_lu_lambdas(steps: int) -> None:
    found = levels(on_sd(DPMSolverMultistepScheduler, use_lu_lambdas=True), steps)
    assert ours(Exponential(), steps) == pytest.approx(found, rel=1e-6)


@COUNTS
@pytest.mark.parametrize("spacing", ["leading", "linspace", "trailing"])
@pytest.mark.parametrize(("rule", "flag"), RANGED)
def test_the_range_of_a_spacing_is_eulers(rule: Any, flag: str, spacing: str, steps: int) -> None:
    peer = on_sd(EulerDiscreteScheduler, timestep_spacing=spacing, steps_offset=1, **{flag: True})
    assert ours(rule(span=spacing), steps) == pytest.approx(levels(peer, steps), rel=1e-6)


@COUNTS
@pytest.mark.parametrize(
    ("rule", "spacing"), [(Leading(), "leading"), (Linspace(), "linspace"), (Trailing(), "trailing")], ids=repr
)
def test_the_spacings_are_eulers(rule: SigmaSchedule, spacing: str, steps: int) -> None:
    peer = on_sd(EulerDiscreteScheduler, timestep_spacing=spacing, steps_offset=1)
    found = levels(peer, steps)
    assert [p.timestep for p in rule.points(steps, SD)] == pytest.approx(peer.timesteps.tolist(), rel=1e-6)
    assert ours(rule, steps) == pytest.approx(found, rel=2e-4 if spacing == "linspace" else 1e-5)


@COUNTS
@pytest.mark.parametrize(
    ("rule", "spacing"),
    [
        (Leading(multistep=True), "leading"),
        (Linspace(multistep=True, rounded=True), "linspace"),
        (Trailing(), "trailing"),
    ],
    ids=repr,
)
def test_the_multistep_spacings_are_dpm_solvers(rule: SigmaSchedule, spacing: str, steps: int) -> None:
    peer = on_sd(DPMSolverMultistepScheduler, timestep_spacing=spacing, steps_offset=1)
    found = levels(peer, steps)
    assert [p.timestep for p in rule.points(steps, SD)] == peer.timesteps.tolist()
    assert ours(rule, steps) == pytest.approx(found, rel=1e-6)


@COUNTS
def test_sgm_uniform_is_dpm_solvers_linspace_but_for_rounding(steps: int) -> None:
    peer = on_sd(DPMSolverMultistepScheduler, timestep_spacing="linspace")
    peer.set_timesteps(steps)
    assert [p.timestep for p in SGMUniform().points(steps, SD)] == pytest.approx(peer.timesteps.tolist(), abs=0.5)


@COUNTS
@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_a_static_shift_is_flow_matchings_when_it_is_applied_once(shift: float, steps: int) -> None:
    peer: Any = FlowMatchEulerDiscreteScheduler(shift=shift)
    found = levels(peer, sigmas=np.linspace(1, 1 / steps, steps))
    assert on_flow(Trailing(shift=shift), steps) == pytest.approx(found, rel=1e-6)
    assert [p.timestep for p in Trailing(shift=shift).points(steps, Flow())] == pytest.approx(
        peer.timesteps.tolist(), rel=1e-6
    )


def test_the_peer_left_to_itself_shifts_its_last_level_twice() -> None:
    """Why the comparison above hands it the sigmas: its own range is shifted already."""
    once, found = Linspace(shift=3.0), levels(FlowMatchEulerDiscreteScheduler(shift=3.0), 5)
    assert on_flow(once, 5)[-1] == pytest.approx(0.003 / 1.002)
    assert found[-1] > 2.9 * on_flow(once, 5)[-1]


@COUNTS
@pytest.mark.parametrize("tokens", [256, 1024, 4096])
@pytest.mark.parametrize("rule", ["exponential", "linear"])
def test_the_resolution_dependent_shift_is_fluxs(rule: Any, tokens: int, steps: int) -> None:
    peer = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, time_shift_type=rule)
    mu, factor = calculate_shift(tokens), resolution_shift(tokens, rule=rule)
    given = levels(peer, sigmas=np.linspace(1, 1 / steps, steps), mu=mu)
    assert on_flow(Trailing(shift=factor), steps) == pytest.approx(given, rel=1e-6)
    assert on_flow(Linspace(shift=factor), steps) == pytest.approx(levels(peer, steps, mu=mu), rel=1e-6)


@COUNTS
@pytest.mark.parametrize(("rule", "flag"), RANGED)
def test_rules_in_t_are_flow_matchings(rule: Any, flag: str, steps: int) -> None:
    peer = FlowMatchEulerDiscreteScheduler(**{flag: True})
    assert on_flow(rule(variable="t"), steps) == pytest.approx(levels(peer, steps), rel=1e-6)


@COUNTS
def test_linspace_on_a_flow_is_unipcs_when_the_cleanest_is_left_out(steps: int) -> None:
    peer = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True)
    assert on_flow(Linspace(multistep=True), steps) == pytest.approx(levels(peer, steps), abs=2e-6)


@pytest.mark.parametrize("steps", [2, 3, 8, 20, 51])
@pytest.mark.parametrize("threshold", [0.025, 0.1])
@pytest.mark.parametrize("linear", [None, 1])
def test_linear_quadratic_is_mochis(steps: int, threshold: float, linear: int | None) -> None:
    expected = linear_quadratic_schedule(steps, threshold, linear)
    rule = LinearQuadratic(threshold=threshold, linear_steps=linear)
    if min(a - b for a, b in pairwise([*expected, 0.0])) <= 0:  # rises, with this few linear steps
        with pytest.raises(OptionError, match="do not give falling noise levels"):
            rule.points(steps, Flow())
        return
    assert on_flow(rule, steps) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("model", "key"), [("sd15", "StableDiffusionSigmas"), ("sdxl", "StableDiffusionXLSigmas")])
def test_the_tables_are_those_diffusers_publishes(model: Any, key: str) -> None:
    assert ours(AlignYourSteps(model=model), 10) == pytest.approx(AysSchedules[key][:-1])


def test_the_video_table_is_the_one_diffusers_publishes() -> None:
    from latentry import EDM

    points = AlignYourSteps(model="svd").points(10, EDM(sigma_max=700.0))
    assert [p.s for p in points] == pytest.approx(AysSchedules["StableDiffusionVideoSigmas"][:-1])


@pytest.mark.parametrize(("a", "b"), [(0.6, 0.6), (0.2, 3.0), (1.0, 1.0), (40.0, 2.5), (100.0, 100.0), (0.05, 0.05)])
def test_the_beta_quantile_is_scipys(a: float, b: float) -> None:
    parts = np.linspace(0.0, 1.0, 41)
    found = np.array(beta_quantile(parts.tolist(), a, b))
    expected = beta_distribution.ppf(parts, a, b)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-250)
    assert not math.isnan(found.sum())
