"""Ancestral, Runge-Kutta, linear multistep, distilled and stochastic Adams schedulers against diffusers' own.

Both sides get the same noise levels by step index, the same network (exact for a Gaussian) and the same noise.
"""

from __future__ import annotations

import math
from typing import Any

import diffusers
import pytest
import torch
from support.oracles import relative
from support.peer_runs import DATA, SD15, SHAPE, Patch, draws, ours, start, table, theirs

from latentry import Flow, Plan, Point, Prediction, Process, Scheduler, VariancePreserving
from latentry_ddpm import DDPM
from latentry_dpm2 import DPM2, DPM2Ancestral
from latentry_euler_ancestral import EulerAncestral
from latentry_heun import Heun
from latentry_ipndm import IPNDM
from latentry_lcm import LCM
from latentry_lms import LMS
from latentry_pndm import PNDM
from latentry_sa_solver import SASolver
from latentry_tcd import TCD

pytestmark = pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # diffusers' KDPM2 under numpy 2

MODULE = "diffusers.schedulers.scheduling_"
WITHIN = 1e-5
STEPS = (1, 2, 5, 12)
ORDERS = ((1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (3, 4), (4, 4))
"""Of SA-Solver's predictor and corrector."""


def levels(peer: Any, process: Process) -> tuple[Point, ...]:
    """The levels of a peer that lists sigmas, each once, noisiest first."""
    values = torch.unique(peer.sigmas.double()).flip(0).tolist()
    return tuple(process.customary(value) for value in values)


def timesteps(peer: Any, process: Process, last: Point) -> tuple[Point, ...]:
    """The levels of a peer that lists timesteps, each once."""
    values = torch.unique(peer.timesteps).flip(0).tolist()
    return (*(process.at(timestep=value) for value in values), last)


def made(scheduler: Scheduler, process: Process, points: tuple[Point, ...], prediction: str = "epsilon") -> Plan:
    """A plan on a peer's levels."""
    return Plan(scheduler, process, Prediction(prediction), points)


K_DIFFUSION = [
    ("HeunDiscreteScheduler", Heun(guard=False, clock="s", longest_step=math.inf)),
    ("KDPM2DiscreteScheduler", DPM2(guard=False, longest_step=math.inf)),
    ("LMSDiscreteScheduler", LMS(guard=False, arrival="full")),
]


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize(("name", "scheduler"), K_DIFFUSION, ids=[name for name, _ in K_DIFFUSION])
def test_deterministic_schedulers_on_sigmas(name: str, scheduler: Scheduler, prediction: str, steps: int) -> None:
    peer = getattr(diffusers, name)(**SD15, timestep_spacing="trailing", prediction_type=prediction)
    peer.set_timesteps(steps)
    process = table(peer)
    plan = made(scheduler, process, levels(peer, process), prediction)
    x = start(plan)
    assert relative(ours(plan, x, []), theirs(peer, plan, x)) < WITHIN


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_euler_ancestral(patch: Patch, prediction: str, steps: int) -> None:
    peer = diffusers.EulerAncestralDiscreteScheduler(**SD15, timestep_spacing="trailing", prediction_type=prediction)
    peer.set_timesteps(steps)
    process = table(peer)
    plan = made(EulerAncestral(), process, levels(peer, process), prediction)
    x, drawn = start(plan), draws(steps)
    patch(MODULE + "euler_ancestral_discrete", drawn)
    assert relative(ours(plan, x, drawn), theirs(peer, plan, x)) < WITHIN


@pytest.mark.parametrize("steps", STEPS)
def test_dpm2_ancestral(patch: Patch, steps: int) -> None:
    peer = diffusers.KDPM2AncestralDiscreteScheduler(**SD15, timestep_spacing="trailing")
    peer.set_timesteps(steps)
    process = table(peer)
    plan = made(DPM2Ancestral(guard=False, fitted=False), process, levels(peer, process))
    x, drawn = start(plan), draws(steps)
    patch(MODULE + "k_dpm_2_ancestral_discrete", drawn)
    assert relative(ours(plan, x, drawn), theirs(peer, plan, x)) < WITHIN


@pytest.mark.parametrize("steps", [2, 5, 12])
def test_heun_in_t_on_a_flow(steps: int) -> None:
    peer = diffusers.FlowMatchHeunDiscreteScheduler(shift=3.0)
    peer.set_timesteps(steps)
    plan = made(Heun(guard=False, clock="t", longest_step=math.inf), Flow(), levels(peer, Flow()), "flow_prediction")
    x = start(plan)
    assert relative(ours(plan, x, []), theirs(peer, plan, x, native=True)) < WITHIN


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("variance", ["small", "large"])
def test_ddpm(patch: Patch, variance: str, steps: int) -> None:
    peer = diffusers.DDPMScheduler(**SD15, variance_type=f"fixed_{variance}", clip_sample=False)
    peer.set_timesteps(steps)  # the last timestep is 0, and the step from it has no noise
    process = table(peer)
    scheduler = DDPM(variance=variance)  # type: ignore[arg-type]
    plan = made(scheduler, process, timesteps(peer, process, process.clean()))
    x, drawn = start(plan), draws(steps)
    patch(MODULE + "ddpm", drawn)
    assert relative(ours(plan, x, drawn), theirs(peer, plan, x, native=True)) < WITHIN


def test_ddpm_of_the_peer_noises_its_result_where_timesteps_are_offset(patch: Patch) -> None:
    """Algorithm 2 has z = 0 in the last step. The peer asks for t = 0 instead, which an offset of 1 never gives: with
    the large variance σ of the last start stays in the picture."""
    peer = diffusers.DDPMScheduler(**SD15, variance_type="fixed_large", clip_sample=False, steps_offset=1)
    peer.set_timesteps(5)
    process = table(peer)
    plan = made(DDPM(variance="large"), process, timesteps(peer, process, process.clean()))
    x, drawn = start(plan), draws(5)
    patch(MODULE + "ddpm", drawn)
    left = theirs(peer, plan, x, native=True) - ours(plan, x, drawn)
    assert relative(left, plan.points[-2].sigma * drawn[-1]) < WITHIN
    assert plan.points[-2].sigma > 0.04


@pytest.mark.parametrize("skip_prk", [True, False])
@pytest.mark.parametrize("steps", [5, 10, 20])
def test_pndm(steps: int, skip_prk: bool) -> None:
    peer = diffusers.PNDMScheduler(**SD15, skip_prk_steps=skip_prk, steps_offset=1)
    peer.set_timesteps(steps)
    process = table(peer)
    grid = [process.at(timestep=t) for t in peer._timesteps[::-1].tolist()]
    # the peer's PRK takes the stride where the paper's takes the next timestep: the same but into the last level
    plan = made(
        PNDM(guard=False, skip_prk=skip_prk, middle="timestep", stable=False), process, (*grid, process.cleanest)
    )
    x = start(plan)
    assert relative(ours(plan, x, []), theirs(peer, plan, x, native=True)) < WITHIN


@pytest.mark.parametrize("steps", [3, 5, 12])
def test_ipndm_from_its_second_level(steps: int) -> None:
    peer = diffusers.IPNDMScheduler()
    peer.set_timesteps(steps)
    peer.set_begin_index(1)
    process = VariancePreserving.from_betas()
    plan = made(
        IPNDM(guard=False, arrival="full", stable=False), process, ipndm_levels(peer, process)[1:], "v_prediction"
    )
    x = start(plan)
    peer.timesteps = peer.timesteps[1:]
    assert relative(ours(plan, x, []), theirs(peer, plan, x, native=True)) < WITHIN


def test_ipndm_of_the_peer_forgets_x0_at_pure_noise() -> None:
    """At α = 0 its x₀ is (x − σ·ε)/10⁻⁸ = 0, where the velocity says −x₀: the first step loses α·x₀ of its end."""
    peer = diffusers.IPNDMScheduler()
    peer.set_timesteps(10)
    process = VariancePreserving.from_betas().zero_terminal_snr()
    plan = made(IPNDM(guard=False), process, ipndm_levels(peer, process)[:2], "v_prediction")
    x = start(plan)
    peer.timesteps = peer.timesteps[:1]
    lost = ours(plan, x, []) - theirs(peer, plan, x, native=True)
    end = plan.points[1]
    assert relative(lost, torch.full(SHAPE, end.alpha * DATA.mean, dtype=torch.float64)) < WITHIN
    assert end.alpha > 0.2


def ipndm_levels(peer: Any, process: VariancePreserving) -> tuple[Point, ...]:
    """diffusers' own table: β is σ and α is α."""
    pairs = zip(peer.betas.double().tolist(), peer.alphas.double().tolist(), strict=True)
    return tuple(process.at(s=beta / alpha if alpha > 0 else math.inf) for beta, alpha in pairs)


@pytest.mark.parametrize("steps", [1, 2, 4, 8])
@pytest.mark.parametrize("scaling", [0.0, 10.0])
def test_lcm(patch: Patch, scaling: float, steps: int) -> None:
    peer = diffusers.LCMScheduler(**SD15)
    peer.set_timesteps(steps)
    process = table(peer)
    plan = made(LCM(timestep_scaling=scaling), process, timesteps(peer, process, process.clean()))
    x, drawn = start(plan), draws(steps)
    patch(MODULE + "lcm", drawn)
    assert relative(ours(plan, x, drawn), theirs(peer, plan, x, native=True)) < WITHIN


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_lcm_on_a_flow(patch: Patch, steps: int) -> None:
    peer = diffusers.FlowMatchLCMScheduler(shift=3.0)
    peer.set_timesteps(steps)
    plan = made(LCM(), Flow(), levels(peer, Flow()), "flow_prediction")
    x, drawn = start(plan), draws(steps)
    patch(MODULE + "flow_match_lcm", drawn)
    assert relative(ours(plan, x, drawn), theirs(peer, plan, x, native=True)) < WITHIN


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
def test_tcd(patch: Patch, gamma: float, prediction: str) -> None:
    peer = diffusers.TCDScheduler(**SD15, prediction_type=prediction)
    peer.set_timesteps(timesteps=[999, 740, 500, 250])  # even, so that the peer's rounding down has no part in it
    process = table(peer)
    plan = made(TCD(gamma=gamma), process, timesteps(peer, process, process.cleanest), prediction)
    x, drawn = start(plan), draws(4)
    patch(MODULE + "tcd", drawn)
    assert relative(ours(plan, x, drawn), theirs(peer, plan, x, native=True, eta=gamma)) < WITHIN


@pytest.mark.parametrize("steps", [2, 5, 12])
@pytest.mark.parametrize("tau", [0.0, 0.7, 1.0])
@pytest.mark.parametrize(("predictor", "corrector"), ORDERS)
def test_sa_solver(patch: Patch, predictor: int, corrector: int, tau: float, steps: int) -> None:
    peer = diffusers.SASolverScheduler(
        **SD15, predictor_order=predictor, corrector_order=corrector, tau_func=lambda _: torch.tensor(tau)
    )
    peer.set_timesteps(steps)
    process = table(peer)
    # doubles, or its moments lose digits at order 4
    peer.sigmas = peer.sigmas.double()
    scheduler = SASolver(
        guard=False, predictor=predictor, corrector=corrector, tau=tau, simplified=True, longest_step=math.inf
    )
    plan = made(scheduler, process, levels(peer, process))
    x, drawn = start(plan), draws(steps)
    patch(MODULE + "sasolver", drawn)
    assert relative(ours(plan, x, drawn), theirs(peer, plan, x, native=True)) < WITHIN


def test_sa_solvers_interval_of_noise(patch: Patch) -> None:
    """Its τ of the timestep, 1 from 200 to 800, is our τ within bounds of σ/α."""
    peer = diffusers.SASolverScheduler(**SD15)
    peer.set_timesteps(12)
    process = table(peer)
    low, high = process.at(timestep=200).s, process.at(timestep=800).s
    scheduler = SASolver(
        guard=False, corrector=2, tau=1.0, simplified=True, tau_min=low, tau_max=high, longest_step=math.inf
    )
    plan = made(scheduler, process, levels(peer, process))
    x, drawn = start(plan), draws(12)
    patch(MODULE + "sasolver", drawn)
    assert relative(ours(plan, x, drawn), theirs(peer, plan, x, native=True)) < WITHIN


def test_sa_solver_of_the_peer_stops_short_of_the_picture_on_a_flow() -> None:
    """Its list of sigmas ends with the last one twice: the last evaluation is spent on a step of no length."""
    peer = diffusers.SASolverScheduler(use_flow_sigmas=True, prediction_type="flow_prediction", tau_func=lambda _: 0.0)
    peer.set_timesteps(12)
    last = float(peer.sigmas[-1])
    assert last == float(peer.sigmas[-2]) > 0.07
    plan = made(SASolver(guard=False, tau=0.0), Flow(), (*levels(peer, Flow()), Flow().clean()), "flow_prediction")
    x = start(plan)
    exact = DATA.path(x, plan.points[0], plan.points[-1])
    assert relative(ours(plan, x, []), exact) < 0.02
