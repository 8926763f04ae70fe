"""Noise processes: their identities, and the way back from a level to what it was made from."""

from __future__ import annotations

import itertools
import math

import pytest
from support.oracles import SD, ZTSNR

from latentry import EDM, Flow, Point, Process, VariancePreserving

LAMS = [-6.0, -2.68, -1.0, -1e-3, 0.0, 0.37, 2.0, 3.5, 6.9]
ALL = pytest.mark.parametrize("process", [SD, ZTSNR, Flow(), Flow(multiplier=1.0), EDM()], ids=lambda p: p.kind)


@ALL
@pytest.mark.parametrize("lam", LAMS)
def test_a_level_has_the_lam_that_it_was_asked_for(process: Process, lam: float) -> None:
    point = process.at(lam=lam)
    assert point.lam == lam
    assert math.log(point.alpha / point.sigma) == pytest.approx(lam, abs=1e-12)


@ALL
@pytest.mark.parametrize("lam", LAMS)
def test_sigma_over_alpha_and_lam_name_the_same_level(process: Process, lam: float) -> None:
    assert process.at(s=math.exp(-lam)) == pytest.approx(process.at(lam=lam), abs=1e-12)
    assert process.at(lam=lam).s == pytest.approx(math.exp(-lam), rel=1e-12)


@pytest.mark.parametrize("lam", [*LAMS, math.inf])
def test_a_variance_preserving_level_has_unit_power(lam: float) -> None:
    for process in (SD, ZTSNR):
        point = process.at(lam=lam)
        assert point.alpha**2 + point.sigma**2 == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize("lam", [*LAMS, math.inf, -math.inf])
def test_a_flow_level_adds_up_to_one(lam: float) -> None:
    point = Flow().at(lam=lam)
    assert point.alpha + point.sigma == pytest.approx(1.0, abs=1e-15)
    assert point.timestep == pytest.approx(1000 * point.sigma, abs=1e-12)


@pytest.mark.parametrize("shift", [0.5, 3.0, 7.0])
@pytest.mark.parametrize("t", [0.02, 0.31, 0.5, 0.977])
def test_shifting_flow_time_multiplies_sigma_over_alpha(shift: float, t: float) -> None:
    flow = Flow()
    shifted = shift * t / (1 + (shift - 1) * t)
    assert flow.at(s=shift * flow.at(timestep=1000 * t).s).sigma == pytest.approx(shifted, rel=1e-12)


@pytest.mark.parametrize("sigma", [0.002, 0.5, 1.0, 80.0])
def test_an_edm_level_has_the_scale_and_timestep_of_the_paper(sigma: float) -> None:
    point = EDM(data_std=0.5).at(s=sigma)
    assert (point.alpha, point.sigma) == (1.0, pytest.approx(sigma, rel=1e-14))
    assert point.timestep == pytest.approx(math.log(sigma) / 4, abs=1e-14)
    assert point.scale * math.sqrt(sigma**2 + 0.25) == pytest.approx(1.0, abs=1e-14)


@pytest.mark.parametrize("timestep", [0, 0.25, 1, 353.89, 498, 500.5, 998, 998.999, 999])
@pytest.mark.parametrize("process", [SD, ZTSNR], ids=["sd", "ztsnr"])
def test_a_timestep_leads_to_a_lam_and_back(process: VariancePreserving, timestep: float) -> None:
    point = process.at(timestep=timestep)
    assert point.timestep == timestep
    again = process.at(lam=point.lam)
    assert again == pytest.approx(point, abs=1e-9)


@pytest.mark.parametrize("timestep", [0.0, 1e-6, 17.3, 500.0, 999.999, 1000.0])
def test_a_flow_timestep_leads_to_a_lam_and_back(timestep: float) -> None:
    point = Flow().at(timestep=timestep)
    assert point.sigma == timestep / 1000
    assert Flow().at(lam=point.lam) == pytest.approx(point, abs=1e-10)


@pytest.mark.parametrize("sigma", [0.0021, 0.7, 79.9])
def test_an_edm_timestep_leads_to_a_lam_and_back(sigma: float) -> None:
    point = EDM().at(s=sigma)
    assert EDM().at(timestep=point.timestep) == pytest.approx(point, rel=1e-12)


def test_timesteps_of_the_table_have_the_tables_levels() -> None:
    for process in (SD, ZTSNR):
        for timestep in (0, 1, 500, 998, 999):
            point = process.at(timestep=timestep)
            assert point.alpha**2 == pytest.approx(process.alphas_cumprod[timestep], rel=1e-12, abs=1e-15)


def test_levels_between_timesteps_lie_between_their_levels() -> None:
    lams = [SD.at(timestep=t / 4).lam for t in range(4 * 999 + 1)]
    assert all(a > b for a, b in itertools.pairwise(lams))


@ALL
def test_the_clean_end_is_exact(process: Process) -> None:
    clean = process.clean()
    assert (clean.lam, clean.alpha, clean.sigma, clean.s) == (math.inf, 1.0, 0.0, 0.0)
    assert process.at(s=0.0) == clean


@pytest.mark.parametrize("process", [ZTSNR, Flow()], ids=["ztsnr", "flow"])
def test_the_noisy_end_is_exact(process: Process) -> None:
    for point in (process.noisiest, process.at(lam=-math.inf), process.at(s=math.inf)):
        assert (point.lam, point.alpha, point.sigma, point.s) == (-math.inf, 0.0, 1.0, math.inf)
        assert point.timestep == process.noisiest.timestep


def test_an_edm_process_has_no_pure_noise() -> None:
    with pytest.raises(ValueError, match="never reaches pure noise"):
        EDM().at(lam=-math.inf)


def test_the_noisiest_and_cleanest_levels_are_those_of_training() -> None:
    assert SD.noisiest == SD.at(timestep=999)
    assert SD.cleanest == SD.at(timestep=0)
    assert (Flow().noisiest.sigma, Flow().cleanest.sigma) == (1.0, 0.0)
    assert (EDM().noisiest.s, EDM().cleanest.s) == pytest.approx((80.0, 0.002))


@pytest.mark.parametrize(
    ("process", "noisier", "cleaner", "most", "least"),
    [(SD, 40.0, 0.001, 999.0, 0.0), (EDM(), 157.0, 1e-4, math.log(80) / 4, math.log(0.002) / 4)],
    ids=["vp", "edm"],
)
def test_the_network_never_gets_a_timestep_that_it_was_not_trained_on(
    process: Process, noisier: float, cleaner: float, most: float, least: float
) -> None:
    assert process.at(s=noisier).timestep == pytest.approx(most)
    assert process.at(s=cleaner).timestep == pytest.approx(least)
    assert process.at(s=noisier).s == pytest.approx(noisier)


@pytest.mark.parametrize(
    ("process", "timestep"),
    [(SD, -0.1), (SD, 999.1), (Flow(), 1000.1), (Flow(), -1.0), (EDM(), 1.2), (EDM(), -1.6)],
)
def test_a_timestep_outside_training_is_refused(process: Process, timestep: float) -> None:
    with pytest.raises(ValueError, match="outside the trained range"):
        process.at(timestep=timestep)


@ALL
def test_a_level_is_given_in_exactly_one_way(process: Process) -> None:
    for both in ({}, {"lam": 0.0, "s": 1.0}, {"lam": 0.0, "timestep": 1.0}, {"s": 1.0, "timestep": 1.0}):
        with pytest.raises(TypeError, match="exactly one"):
            process.at(**both)


def test_the_peers_sigma_is_the_ratio_on_vp_and_edm_and_sigma_itself_on_flow() -> None:
    assert SD.customary(3.0).s == pytest.approx(3.0)
    assert EDM().customary(3.0).sigma == pytest.approx(3.0)
    assert Flow().customary(0.75).sigma == 0.75


def test_zero_terminal_snr_keeps_the_first_level_and_ends_in_pure_noise() -> None:
    assert ZTSNR.alphas_cumprod[0] == pytest.approx(SD.alphas_cumprod[0], rel=1e-12)
    assert ZTSNR.alphas_cumprod[-1] == 0.0


def test_zero_terminal_snr_is_linear_in_alpha() -> None:
    before = [math.sqrt(a) for a in SD.alphas_cumprod]
    after = [math.sqrt(a) for a in ZTSNR.alphas_cumprod]
    steps = [(y1 - y0) / (x1 - x0) for x0, x1, y0, y1 in zip(before, before[1:], after, after[1:], strict=False)]
    assert max(steps) == pytest.approx(min(steps), rel=1e-6)


@pytest.mark.parametrize("table", [(), (0.9,), (0.9, 0.9), (0.5, 0.9), (1.0, 0.5), (0.5, -0.1), (0.5, math.nan)])
def test_an_invalid_table_is_refused(table: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="alphas_cumprod"):
        VariancePreserving(table)


def test_a_short_table_serves_too() -> None:
    process = VariancePreserving((0.9, 0.1))
    assert process.timesteps == 2
    assert process.at(timestep=1).alpha == pytest.approx(math.sqrt(0.1))
    middle = process.at(timestep=0.5)
    assert process.at(lam=middle.lam).timestep == pytest.approx(0.5)


def test_a_point_is_plain_data() -> None:
    point = SD.at(timestep=500)
    assert Point(*point) == point
    assert all(isinstance(value, float) for value in point)
