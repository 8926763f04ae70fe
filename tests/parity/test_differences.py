"""Places where we differ from diffusers on purpose, each with the measurement that says why (``docs/differences.md``).

Others are shown where the agreement is: in ``test_solvers_a``, ``test_solvers_b``, ``test_names_differing`` and
``test_names_flow``.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler
from support.named import made
from support.peer_defaults import FLOW, run, spend
from support.peer_runs import table
from torch import Tensor

from latentry import Flow, Karras, Leading, Linspace, Plan, PluginHost, Prediction, Trailing, VariancePreserving
from latentry.sigmas import Beta, BetaSigmas
from latentry.testing import GaussianOracle, GuidedOracle, MixtureOracle, Oracle, SpectrumOracle, Subject, drive
from latentry.testing._checks._accuracy._stability import MEANS, SAMPLES, VARIANCES, growth
from latentry.testing._default_plans import default_plan, preferred
from latentry.testing._measuring._result_errors import normal_points, rms
from latentry.testing._networks._processes import process
from latentry_ddim import DDIM
from latentry_unipc import UniPC

pytestmark = pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # diffusers' KDPM2 under numpy 2

SD = VariancePreserving.from_betas()
DATA, Z = MixtureOracle(), normal_points(64)
SCALE, VARIANCE = 7.5, VARIANCES[0]
GUIDED = GuidedOracle(MixtureOracle(MEANS[:1], VARIANCE), MixtureOracle(MEANS, VARIANCE), SCALE)
TAU = {"tau_func": lambda t: torch.tensor(1.0 if 200 <= t <= 800 else 0.0)}
SDE = {"algorithm_type": "sde-dpmsolver++"}


def error_of(peer: Any, steps: int, oracle: Oracle = DATA, z: Tensor = Z) -> float:
    """Of a peer's result, to the end of the exact path from where it began."""
    peer.set_timesteps(steps)
    result, start, first = run(peer, z, oracle)
    return rms(result - oracle.path(start, first, Flow().clean()))


def error(plan: Plan, oracle: Oracle = DATA, z: Tensor = Z) -> float:
    """Of ours."""
    x = plan.noise_scale() * z
    return rms(drive(plan, x, oracle.answer) - oracle.path(x, plan.points[0], plan.process.clean()))


# ---- grids


def test_diffusers_ddim_steps_to_other_levels_than_it_asks_at() -> None:
    peer = made("DDIMScheduler", timestep_spacing="linspace", set_alpha_to_one=True)
    peer.set_timesteps(5)
    assert peer.timesteps.tolist() == [999, 749, 500, 250, 0]
    on, x = table(peer), torch.ones(1, 2, dtype=torch.float64)
    first, meant, reached = (on.at(timestep=t) for t in (999, 749, 799))
    eps = DATA.predict(x, first)[1]
    moved = peer.step(eps, 999, x).prev_sample
    plans = [Plan(DDIM(), on, Prediction.EPSILON, (first, end)) for end in (meant, reached)]
    right, found = (drive(plan, x, DATA.answer) for plan in plans)
    assert torch.allclose(moved, found, rtol=1e-5)
    assert float((moved - right).abs().max()) > 1e-3


def test_diffusers_karras_sigmas_on_flow_are_not_levels_of_a_flow(host: PluginHost) -> None:
    peer = made("DPMSolverMultistepScheduler", **FLOW, use_karras_sigmas=True)
    peer.set_timesteps(8)
    bare = DPMSolverMultistepScheduler(**FLOW, use_karras_sigmas=True)
    bare.set_timesteps(8)
    for sigmas, least in ((peer.sigmas, 14.0), (bare.sigmas, 150.0)):
        assert float(sigmas[0]) > least
        with pytest.raises(ValueError, match="outside the trained range"):
            Flow().customary(float(sigmas[0]))  # those of the table, taken for σ of a flow, which ends at 1
    points = Karras().points(8, Flow())
    assert points[0] == Flow().noisiest
    assert all(0.0 < point.sigma <= 1.0 for point in points)
    plan = host.schedulers.create("dpmpp-2m").plan(
        8, process=Flow(), prediction=Prediction.FLOW, sigmas=Karras(), final="zero"
    )
    assert error(plan) < 0.1


def test_diffusers_unipc_spends_an_evaluation_on_an_empty_step() -> None:
    peer = made("UniPCMultistepScheduler", use_karras_sigmas=True, final_sigmas_type="sigma_min")
    peer.set_timesteps(8)
    assert float(peer.sigmas[-1]) == float(peer.sigmas[-2])
    assert len(peer.timesteps) == 8
    plan = UniPC().plan(8, process=SD, prediction=Prediction.EPSILON, sigmas=Karras(), final="table")
    assert (len(plan), plan.evaluations) == (8, 8)
    assert len({point.lam for point in plan.points}) == 9


def test_one_leading_step_of_diffusers_gives_the_noise_back() -> None:
    peer = made("DDIMScheduler", timestep_spacing="leading", steps_offset=1)
    peer.set_timesteps(1)
    picture = GaussianOracle(torch.tensor([[1.5, -0.7]], dtype=torch.float64), 0.0)  # data that is one point
    theirs = peer.step(picture.output(Z, table(peer).at(timestep=1), Prediction.EPSILON), 1, Z).prev_sample
    assert peer.timesteps.tolist() == [1]
    assert rms(theirs - Z) < 0.5 * rms(Z) < rms(theirs - picture.mean)
    plan = DDIM().plan(1, process=SD, prediction=Prediction.EPSILON, sigmas=Leading(), final="table")
    assert rms(drive(plan, Z, picture.answer) - picture.mean) < 0.05


@pytest.mark.parametrize("name", ["UniPCMultistepScheduler", "DPMSolverMultistepScheduler", "DEISMultistepScheduler"])
def test_diffusers_gives_the_network_whole_timesteps(name: str) -> None:
    """On Karras sigmas, which fall between them: the network answers for another level than the solver takes it for."""
    peer = made(name, use_karras_sigmas=True)
    peer.set_timesteps(80)
    told = peer.timesteps.tolist()
    meant = [point.timestep for point in Karras().points(80, table(peer))]
    assert all(isinstance(t, int) for t in told)
    assert max(abs(a - b) for a, b in zip(told, meant, strict=True)) > 0.4
    assert len(set(told)) < 80 == len(set(meant))


def test_flow_matching_with_a_shift_wastes_a_step(host: PluginHost) -> None:
    peer = made("FlowMatchEulerDiscreteScheduler", shift=3.0)
    for steps in (5, 10):
        plan = host.schedulers.create("euler").plan(
            steps, process=Flow(), prediction=Prediction.FLOW, sigmas=Trailing(shift=3.0)
        )
        assert error(plan) < 0.95 * error_of(peer, steps)


def test_the_two_beta_schedules_lie_apart() -> None:
    """ComfyUI's places times at the quantiles, AUTOMATIC1111's and diffusers' places σ."""
    times, sigmas = (rule.points(10, SD) for rule in (Beta(), BetaSigmas()))
    assert sigmas[4].s / times[4].s > 3.0


# ---- few steps, strong guidance


RUN_AWAY = [
    ("dpm2-ancestral", "KDPM2AncestralDiscreteScheduler", {}, (5, 8, 10)),
    ("pndm", "PNDMScheduler", {}, (5,)),
    ("sa-solver", "SASolverScheduler", TAU, (5, 8, 10)),
    ("dpmpp-2m-sde", "DPMSolverMultistepScheduler", SDE, (5,)),
]


def guided_growth(peer: Any, steps: int) -> float:
    """As the kit's ``growth``, of a peer."""
    peer.set_timesteps(steps)
    z = torch.randn(SAMPLES, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        result, *_ = run(peer, z, GUIDED)
    return float(result.square().sum(1).mean().sqrt()) / math.hypot(*MEANS[0])


@pytest.mark.parametrize(("name", "peer", "config", "counts"), RUN_AWAY, ids=[name for name, *_ in RUN_AWAY])
def test_guided_samples_of_diffusers_run_away_and_ours_do_not(
    host: PluginHost, name: str, peer: str, config: dict[str, Any], counts: tuple[int, ...]
) -> None:
    """Guidance 7.5: how far out the samples end, against the component that is asked for."""
    subject, on = Subject.of(name, host=host), process("vp")
    for steps in counts:
        preference = preferred(subject, steps, on)
        assert preference is not None
        assert growth(default_plan(subject, preference, steps, on), SCALE, VARIANCE) < 2.0
        assert guided_growth(made(peer, **config), steps) > 2.4


# ---- pure noise


def test_unipc_corrects_the_first_step_from_pure_noise() -> None:
    """diffusers' begins just below t = 1, where a first step in λ is endlessly long."""
    oracle = SpectrumOracle()
    z = torch.ones(1, len(oracle.variance), dtype=torch.float64)
    for steps in (5, 8, 10):
        plan = UniPC(guard=False).plan(
            steps, process=Flow(), prediction=Prediction.FLOW, sigmas=Linspace(multistep=True), final="zero"
        )
        peer = made("UniPCMultistepScheduler", **FLOW)
        spend(peer, steps)
        assert error(plan, oracle, z) < 0.85 * error_of(peer, steps, oracle, z)
