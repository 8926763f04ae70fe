"""DPM-Solver++, UniPC, DEIS and RES against diffusers' own schedulers, and against k-diffusion's formulas.

Both sides get the same noise levels by step index, the same network (exact for a Gaussian mixture) and the same
noise. diffusers' DPM-Solver++ works in float32 inside, hence 1e-5; its UniPC and DEIS agree to rounding.
k-diffusion's functions are written out here from its description: they are few lines on x/α and s = σ/α.

The second half is what we do otherwise on purpose, each with the measurement that says why.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from diffusers import DEISMultistepScheduler, DPMSolverMultistepScheduler, UniPCMultistepScheduler
from support.oracles import SD
from torch import Tensor

from latentry import EDM, Flow, Plan, Point, Prediction, Process, Scheduler
from latentry.testing import GaussianOracle, MixtureOracle, drive
from latentry_deis import DEIS
from latentry_dpmpp import DPMpp2M, DPMpp2MSDE, DPMpp2SAncestral, DPMpp3M, DPMpp3MSDE, DPMppSDE
from latentry_res import RES2M, RES3M
from latentry_unipc import UniPC

SD15: dict[str, Any] = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
FLOW: dict[str, Any] = {"prediction_type": "flow_prediction", "use_flow_sigmas": True}
GRIDS: list[dict[str, Any]] = [{}, {"use_karras_sigmas": True}, {"use_exponential_sigmas": True}]
DATA = MixtureOracle()
WITHIN, ROUNDING = 1e-5, 1e-12
STEPS = pytest.mark.parametrize("steps", [5, 10, 20])
"""diffusers lowers the order at the end below 15 steps."""
FINAL = {"lower_order_final": True}
Noise = Callable[[Tensor, int, int, Any], Tensor]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def far(x: Tensor, y: Tensor) -> float:
    return float((x - y).norm() / y.norm())


def peers(
    peer: Any, steps: int, draws: Sequence[Tensor] | None = None, shape: tuple[int, ...] = (32, 2)
) -> tuple[Plan, Tensor, Tensor]:
    """Runs diffusers' scheduler.

    Returns:
        The same grid as a plan of ours, without a scheduler that matters; the start; diffusers' result.
    """
    peer.set_timesteps(steps)
    return walk(peer, draws, shape)


def walk(
    peer: Any, draws: Sequence[Tensor] | None = None, shape: tuple[int, ...] = (32, 2)
) -> tuple[Plan, Tensor, Tensor]:
    """The same on a peer that is set up already."""
    peer.sigmas = peer.sigmas.double()
    peer.set_begin_index(0)
    on_flow = peer.config.prediction_type == "flow_prediction"
    process: Process = Flow() if on_flow else SD
    prediction = Prediction.FLOW if on_flow else Prediction.EPSILON
    points = tuple(process.customary(sigma) for sigma in peer.sigmas.tolist())
    x = start = noise(*shape) * math.hypot(points[0].alpha, points[0].sigma)
    for i, timestep in enumerate(peer.timesteps):
        given = {} if draws is None else {"variance_noise": draws[i]}
        x = peer.step(DATA.output(x, points[i], prediction), timestep, x, **given).prev_sample
    return Plan(DPMpp2M(guard=False), process, prediction, points), start, x


def ours(scheduler: Scheduler, plan: Plan, x: Tensor, draws: Sequence[Tensor] | None = None) -> Tensor:
    source = None if draws is None else lambda like, interval, draw, clock: draws[interval]
    made = Plan(scheduler, plan.process, plan.prediction, plan.points)
    return drive(made, x, DATA.answer, noise=source)


def lowered(steps: int) -> dict[str, bool]:
    return {"lower_order_final": steps < 15}


@STEPS
@pytest.mark.parametrize("settings", [*({**SD15, **grid} for grid in GRIDS), FLOW])
@pytest.mark.parametrize(("peer_solver", "solver"), [("midpoint", "midpoint"), ("heun", "exact")])
def test_2m(steps: int, settings: dict[str, Any], peer_solver: str, solver: Any) -> None:
    peer = DPMSolverMultistepScheduler(**settings, solver_order=2, solver_type=peer_solver)
    plan, x, theirs = peers(peer, steps)
    assert far(ours(DPMpp2M(guard=False, solver=solver, **lowered(steps)), plan, x), theirs) < WITHIN
    if solver == "exact":
        assert far(ours(RES2M(guard=False, **lowered(steps)), plan, x), theirs) < WITHIN


@STEPS
@pytest.mark.parametrize("settings", [*({**SD15, **grid} for grid in GRIDS), FLOW])
@pytest.mark.parametrize(("peer_solver", "solver"), [("midpoint", "midpoint"), ("heun", "exact")])
def test_2m_sde(steps: int, settings: dict[str, Any], peer_solver: str, solver: Any) -> None:
    peer = DPMSolverMultistepScheduler(
        **settings, solver_order=2, solver_type=peer_solver, algorithm_type="sde-dpmsolver++"
    )
    draws = [noise(32, 2, seed=i) for i in range(steps)]
    plan, x, theirs = peers(peer, steps, draws)
    scheduler = DPMpp2MSDE(guard=False, solver=solver, longest_step=math.inf, **lowered(steps))
    assert far(ours(scheduler, plan, x, draws), theirs) < WITHIN


@STEPS
@pytest.mark.parametrize("settings", [*({**SD15, **grid} for grid in GRIDS), FLOW])
def test_the_halved_variant_is_diffusers_3m(steps: int, settings: dict[str, Any]) -> None:
    peer = DPMSolverMultistepScheduler(**settings, solver_order=3, solver_type="heun")
    plan, x, theirs = peers(peer, steps)
    assert far(ours(DPMpp3M(guard=False, variant="halved", **lowered(steps)), plan, x), theirs) < WITHIN


@pytest.mark.parametrize("settings", [*({**SD15, **grid} for grid in GRIDS), FLOW])
def test_diffusers_3m_by_default_takes_its_two_step_steps_by_the_midpoint_rule(settings: dict[str, Any]) -> None:
    """The second step and the last but one have two evaluations; with ``midpoint`` they count the slope half."""
    steps = 10
    heun, default = (
        peers(DPMSolverMultistepScheduler(**settings, solver_order=3, **chosen), steps)
        for chosen in ({"solver_type": "heun"}, {})
    )
    plan, x, theirs = default
    assert dict(DPMSolverMultistepScheduler(**settings).config)["solver_type"] == "midpoint"
    assert far(ours(DPMpp3M(guard=False, variant="halved", **lowered(steps)), plan, x), theirs) > 30 * WITHIN
    assert far(heun[2], theirs) > 30 * WITHIN


@STEPS
@pytest.mark.parametrize("settings", [*({**SD15, **grid} for grid in GRIDS), FLOW])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_unipc_on_x0(steps: int, settings: dict[str, Any], order: int) -> None:
    peer = UniPCMultistepScheduler(**settings, solver_order=order)
    plan, x, theirs = peers(peer, steps)
    assert far(ours(UniPC(guard=False, order=order, **FINAL), plan, x), theirs) < ROUNDING


@STEPS
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("variant", ["bh1", "bh2"])
@pytest.mark.parametrize("form", ["x0", "eps"])
def test_unipc_where_diffusers_is_finite(steps: int, order: int, variant: Any, form: Any) -> None:
    settings = {**SD15, "final_sigmas_type": "sigma_min", "solver_type": variant, "predict_x0": form == "x0"}
    plan, x, theirs = peers(UniPCMultistepScheduler(**settings, solver_order=order), steps)
    assert far(ours(UniPC(guard=False, order=order, variant=variant, form=form, **FINAL), plan, x), theirs) < ROUNDING


@pytest.mark.parametrize("skipped", [[0], [1, 2, 3], list(range(10))])
def test_unipc_with_steps_that_are_not_corrected(skipped: list[int]) -> None:
    plan, x, theirs = peers(UniPCMultistepScheduler(**SD15, disable_corrector=skipped), 10)
    assert far(ours(UniPC(guard=False, skip_corrector=frozenset(skipped), **FINAL), plan, x), theirs) < ROUNDING


def test_unipc_with_dynamic_thresholding() -> None:
    settings = {"thresholding": True, "dynamic_thresholding_ratio": 0.9, "sample_max_value": 1.5}
    plan, x, theirs = peers(UniPCMultistepScheduler(**SD15, **settings), 10, shape=(8, 3, 2))
    assert far(ours(UniPC(guard=False, threshold=0.9, threshold_maximum=1.5, **FINAL), plan, x), theirs) < 1e-6


@STEPS
@pytest.mark.parametrize("settings", [*({**SD15, **grid} for grid in GRIDS), FLOW])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_deis(steps: int, settings: dict[str, Any], order: int) -> None:
    plan, x, theirs = peers(DEISMultistepScheduler(**settings, solver_order=order), steps)
    assert far(ours(DEIS(guard=False, order=order, **lowered(steps)), plan, x), theirs) < ROUNDING


# ---- k-diffusion: x̄ = x/α, s = σ/α, t = −log s, and the denoiser D(x̄, s)

LEVELS = (14.6, 8.0, 4.0, 2.0, 1.0, 0.5, 0.2, 0.05, 0.0)


def denoiser(x: Tensor, s: float) -> Tensor:
    return DATA.predict(x, EDM().at(s=s))[0]


def ancestral(s: float, to: float, eta: float) -> tuple[float, float]:
    up = min(to, eta * math.sqrt(to**2 * (s**2 - to**2) / s**2))
    return math.sqrt(to**2 - up**2), up


def k_2s_ancestral(x: Tensor, draws: Sequence[Tensor], eta: float) -> Tensor:
    for i, (s, to) in enumerate(pairwise(LEVELS)):
        first, (down, up) = denoiser(x, s), ancestral(s, to, eta)
        if down == 0.0:
            x = first
            continue
        middle = math.sqrt(s * down)
        second = denoiser(middle / s * x + (1 - middle / s) * first, middle)
        x = down / s * x + (1 - down / s) * second + up * draws[i]
    return x


def k_sde(x: Tensor, draws: Sequence[tuple[Tensor, Tensor]], eta: float) -> Tensor:
    """``sample_dpmpp_sde`` with r = ½; the draws are its Brownian tree's for the half and for the whole step."""
    for i, (s, to) in enumerate(pairwise(LEVELS)):
        first = denoiser(x, s)
        if to == 0.0:
            return first
        middle = math.sqrt(s * to)
        down, up = ancestral(s, middle, eta)
        second = denoiser(down / s * x + (1 - down / s) * first + up * draws[i][0], middle)
        down, up = ancestral(s, to, eta)
        x = down / s * x + (1 - down / s) * second + up * draws[i][1]
    return x


def k_3m_sde(x: Tensor, draws: Sequence[Tensor], eta: float) -> Tensor:
    past: list[tuple[float, Tensor]] = []
    for i, (s, to) in enumerate(pairwise(LEVELS)):
        now = denoiser(x, s)
        if to == 0.0:
            return now
        h = math.log(s / to)
        z = h * (eta + 1)
        x = math.exp(-z) * x - math.expm1(-z) * now
        phi_2 = math.expm1(-z) / z + 1
        if len(past) > 1:
            r0, r1 = (length / h for length, _ in past[:2])
            d0, d1 = (now - past[0][1]) / r0, (past[0][1] - past[1][1]) / r1
            slope, bend = d0 + (d0 - d1) * r0 / (r0 + r1), (d0 - d1) / (r0 + r1)
            x = x + phi_2 * slope - (phi_2 / z - 0.5) * bend
        elif past:
            x = x + phi_2 * (now - past[0][1]) / (past[0][0] / h)
        x = x + draws[i] * to * math.sqrt(-math.expm1(-2 * h * eta))
        past.insert(0, (h, now))
    return x


@pytest.mark.parametrize("process", [SD, Flow(), EDM()])
@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
class TestKDiffusion:
    """One formula of theirs on x/α against ours on the process's own x."""

    def found(self, scheduler: Scheduler, process: Process, source: Noise) -> tuple[Tensor, Tensor]:
        points = tuple(process.at(s=s) for s in LEVELS)
        x = noise(32, 2) * LEVELS[0]
        made = Plan(scheduler, process, Prediction.V, points)
        return x, drive(made, x * points[0].alpha, DATA.answer, noise=source)

    def test_2s_ancestral(self, process: Process, eta: float) -> None:
        draws = [noise(32, 2, seed=i) for i in range(9)]
        x, mine = self.found(
            DPMpp2SAncestral(guard=False, fitted=False, eta=eta),
            process,
            lambda like, interval, draw, clock: draws[interval],
        )
        assert far(mine, k_2s_ancestral(x, draws, eta)) < ROUNDING

    def test_3m_sde(self, process: Process, eta: float) -> None:
        draws = [noise(32, 2, seed=i) for i in range(9)]
        scheduler = DPMpp3MSDE(
            guard=False, steady=False, eta=eta, variant="halved", longest_step=math.inf, lower_order_final=False
        )
        x, mine = self.found(scheduler, process, lambda like, interval, draw, clock: draws[interval])
        assert far(mine, k_3m_sde(x, draws, eta)) < ROUNDING

    def test_sde(self, process: Process, eta: float) -> None:
        pieces = [(noise(32, 2, seed=i), noise(32, 2, seed=50 + i)) for i in range(9)]
        rate = 2 * eta**2
        shares = []
        for s, to in pairwise(LEVELS[:-1]):
            begin, middle, end = (level**-rate for level in (s, math.sqrt(s * to), to))
            shares.append((middle - begin) / (end - begin) if eta else 0.0)
        draws = [
            (early, math.sqrt(share) * early + math.sqrt(1 - share) * late)
            for share, (early, late) in zip(shares, pieces, strict=False)
        ]
        scheduler = DPMppSDE(guard=False, fitted=False, eta=eta, eta_rule="ancestral", solver="midpoint")
        x, mine = self.found(scheduler, process, lambda like, interval, draw, clock: pieces[interval][draw])
        assert far(mine, k_sde(x, [*draws, draws[-1]], eta)) < ROUNDING


# ---- where we differ on purpose


def slope(errors: Sequence[float]) -> float:
    return math.log2(errors[0] / errors[1])


def even(steps: int, high: float = 4.0, low: float = 0.25) -> list[float]:
    """σ/α even in λ, the outer intervals shortened so that their low order is not what is seen."""
    lengths = [0.001, 0.01, 0.1, 0.4, *[1.0] * steps, 0.4, 0.1, 0.01, 0.001]
    total, at, found = math.fsum(lengths), 0.0, [high]
    for length in lengths:
        at += length
        found.append(high * (low / high) ** (at / total))
    return found


def on_table(peer: Any, sigmas: Sequence[float]) -> tuple[Plan, Tensor, Tensor]:
    """diffusers' scheduler through its own ``step`` on given levels."""
    peer.set_timesteps(len(sigmas) - 1)
    peer.sigmas = torch.tensor(sigmas, dtype=torch.float64)
    return walk(peer)


def error(plan: Plan, x: Tensor, end: Tensor) -> float:
    return far(end, DATA.path(x, plan.points[0], plan.points[-1]))


def test_diffusers_3m_is_of_second_order_and_ours_of_third() -> None:
    halved, exact = [], []
    for steps in (20, 40):
        peer = DPMSolverMultistepScheduler(
            **SD15, solver_order=3, solver_type="heun", lower_order_final=False, final_sigmas_type="sigma_min"
        )
        plan, x, theirs = on_table(peer, even(steps))
        halved.append(error(plan, x, theirs))
        exact.append(error(plan, x, ours(DPMpp3M(guard=False), plan, x)))
        assert far(ours(DPMpp3M(guard=False), plan, x), ours(RES3M(guard=False), plan, x)) < ROUNDING
    assert 1.6 < slope(halved) < 2.4
    assert slope(exact) > 2.7
    assert exact[-1] < halved[-1] / 2


def variance_error(result: Callable[[Tensor, list[Tensor]], Tensor], draws: int, begin: Point, end: Point) -> float:
    """Of N(0, ¼): the result is linear in the start and in each draw, so unit vectors tell its variance exactly."""
    columns = torch.eye(draws + 1, dtype=torch.float64)
    gains = result(columns[:1], [columns[i : i + 1] for i in range(1, draws + 1)])[0]
    spread = [point.alpha**2 * 0.25 + point.sigma**2 for point in (begin, end)]
    return abs(float(gains[0] ** 2 * spread[0] + gains[1:].square().sum()) / spread[1] - 1)


def test_diffusers_3m_sde_has_weak_order_1_and_ours_2() -> None:
    data = GaussianOracle(0.0, 0.25)
    theirs, mine = [], []
    for steps in (80, 160):
        sigmas = even(steps, 14.0, 0.03)
        peer = DPMSolverMultistepScheduler(
            **SD15, solver_order=3, algorithm_type="sde-dpmsolver++", lower_order_final=False
        )
        points = tuple(SD.at(s=s) for s in sigmas)

        def run(x: Tensor, draws: list[Tensor], peer: Any = peer, points: Any = points, sigmas: Any = sigmas) -> Tensor:
            peer.set_timesteps(len(sigmas) - 1)
            peer.sigmas = torch.tensor(sigmas, dtype=torch.float64)
            peer.set_begin_index(0)
            for i, timestep in enumerate(peer.timesteps):
                out = data.output(x, points[i], Prediction.EPSILON)
                x = peer.step(out, timestep, x, variance_noise=draws[i]).prev_sample
            return x

        plan = Plan(DPMpp3MSDE(guard=False), SD, Prediction.EPSILON, points)

        def own(x: Tensor, draws: list[Tensor], plan: Plan = plan) -> Tensor:
            return drive(plan, x, data.answer, noise=lambda like, interval, draw, clock: draws[interval])

        count = len(sigmas) - 1
        theirs.append(variance_error(run, count, points[0], points[-1]))
        mine.append(variance_error(own, count, points[0], points[-1]))
    assert slope(theirs) < 1.3
    assert slope(mine) > 1.7
    assert mine[-1] < theirs[-1] / 5


@pytest.mark.parametrize("broken", [{"solver_type": "bh1"}, {"predict_x0": False}, {"lower_order_final": False}])
def test_diffusers_unipc_is_not_finite_where_ours_arrives(broken: dict[str, Any]) -> None:
    plan, x, theirs = peers(UniPCMultistepScheduler(**SD15, **broken), 10)
    assert not theirs.isfinite().any()
    scheduler = UniPC(
        guard=False,
        variant=broken.get("solver_type", "bh2"),
        form="x0" if broken.get("predict_x0", True) else "eps",
        lower_order_final=broken.get("lower_order_final", True),
    )
    reference = ours(UniPC(guard=False, **FINAL), plan, x)
    assert far(ours(scheduler, plan, x), reference) < 0.2


def test_diffusers_deis_stops_at_noise_on_flow_and_ours_arrives() -> None:
    plan, x, theirs = peers(DEISMultistepScheduler(**FLOW), 10)
    assert plan.points[-1].sigma > 0.09
    points = (*dict.fromkeys(plan.points), Flow().clean())
    end = drive(Plan(DEIS(guard=False), Flow(), Prediction.FLOW, points), x, DATA.answer)
    wanted = DATA.path(x, points[0], points[-1])
    assert far(end, wanted) < 0.05 < far(theirs, wanted)


def test_from_pure_noise_the_first_evaluations_are_of_use() -> None:
    """diffusers begins flow models at t = 0.999, or just below 1, and a first step over an endless λ."""
    data = GaussianOracle(0.0, 9.0)
    points = tuple(Flow().at(timestep=1000 - 100 * i) for i in range(11))
    almost = (Flow().at(timestep=999), *points[1:])
    x = noise(1, 2)
    for scheduler in (
        DPMpp2M(guard=False),
        UniPC(guard=False),
        DEIS(guard=False),
        RES2M(guard=False),
        DPMpp3M(guard=False),
    ):
        exact, near = (
            far(drive(Plan(scheduler, Flow(), Prediction.FLOW, p), x, data.answer), data.path(x, p[0], p[-1]))
            for p in (points, almost)
        )
        assert exact < 0.75 * near
