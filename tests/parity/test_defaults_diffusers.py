"""Our schedulers' defaults against those of diffusers' schedulers of the same name, for the same evaluations.

diffusers is configured as Stable Diffusion 1.5's files configure it, on flow as its pipelines do; what a class says
itself where those files say nothing is taken too. LCM and TCD are for distilled models and have no part in this.
"""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch
from support.named import made
from support.peer_defaults import FLOW, run, spend, stands_on, variance
from torch import Tensor

from latentry import PluginHost, Point, Prediction, VariancePreserving
from latentry.testing import MixtureOracle, SpectrumOracle, Subject, drive
from latentry.testing._checks._variance import VARIANCES
from latentry.testing._default_plans import affordable
from latentry.testing._measuring._bench import EVALUATIONS
from latentry.testing._measuring._result_errors import normal_points, rms, variance_error
from latentry.testing._networks._processes import process

pytestmark = pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # diffusers' KDPM2 under numpy 2

TIE = 1.01
BARE = {"steps_offset": 0, "set_alpha_to_one": True}
SDE = {"algorithm_type": "sde-dpmsolver++"}
DETERMINISTIC: list[tuple[str, str, dict[str, Any]]] = [
    ("ddim", "DDIMScheduler", {}),
    ("ddim", "DDIMScheduler", BARE),
    ("deis", "DEISMultistepScheduler", {}),
    ("dpm2", "KDPM2DiscreteScheduler", {}),
    ("dpmpp-2m", "DPMSolverMultistepScheduler", {}),
    ("dpmpp-3m", "DPMSolverMultistepScheduler", {"solver_order": 3}),
    ("euler", "EulerDiscreteScheduler", {}),
    ("heun", "HeunDiscreteScheduler", {}),
    ("lms", "LMSDiscreteScheduler", {}),
    ("pndm", "PNDMScheduler", {}),
    ("pndm", "PNDMScheduler", BARE),
    ("unipc", "UniPCMultistepScheduler", {}),
    ("deis", "DEISMultistepScheduler", FLOW),
    ("dpmpp-2m", "DPMSolverMultistepScheduler", FLOW),
    ("dpmpp-3m", "DPMSolverMultistepScheduler", FLOW | {"solver_order": 3}),
    ("euler", "FlowMatchEulerDiscreteScheduler", {}),
    ("heun", "FlowMatchHeunDiscreteScheduler", {}),
    ("unipc", "UniPCMultistepScheduler", FLOW),
]
STOCHASTIC: list[tuple[str, str, dict[str, Any]]] = [
    ("ddpm", "DDPMScheduler", {}),
    ("ddpm", "DDPMScheduler", BARE),
    ("dpm2-ancestral", "KDPM2AncestralDiscreteScheduler", {}),
    ("dpmpp-2m-sde", "DPMSolverMultistepScheduler", SDE),
    ("dpmpp-3m-sde", "DPMSolverMultistepScheduler", SDE | {"solver_order": 3}),
    ("dpmpp-sde", "DPMSolverSDEScheduler", {}),
    ("euler-ancestral", "EulerAncestralDiscreteScheduler", {}),
    ("sa-solver", "SASolverScheduler", {}),
    ("dpmpp-2m-sde", "DPMSolverMultistepScheduler", FLOW | SDE),
    ("dpmpp-3m-sde", "DPMSolverMultistepScheduler", FLOW | SDE | {"solver_order": 3}),
    ("sa-solver", "SASolverScheduler", FLOW),
]
SPECTRUM = SpectrumOracle()
ORACLES = {
    "mixture": (MixtureOracle(), normal_points(128)),
    "spectrum": (SPECTRUM, torch.ones(1, len(SPECTRUM.variance), dtype=torch.float64)),
}
GAUSSIANS = {"gaussians": torch.tensor(VARIANCES, dtype=torch.float64), "spectrum": SPECTRUM.variance}


def named(rows: list[tuple[str, str, dict[str, Any]]]) -> Any:
    ids = [f"{name}{'-flow' if 'use_flow_sigmas' in how or 'Flow' in peer else ''}" for name, peer, how in rows]
    return pytest.mark.parametrize(("name", "peer", "config"), rows, ids=ids)


@pytest.mark.parametrize("begin", ["own", "noisiest"])
@pytest.mark.parametrize("data", ORACLES)
@named(DETERMINISTIC)
def test_the_error_to_the_exact_path_is_no_higher(
    host: PluginHost, name: str, peer: str, config: dict[str, Any], data: str, begin: str
) -> None:
    """The path from where each begins, and the path from the noisiest level, at which the noise is meant to be."""
    oracle, z = ORACLES[data]
    theirs = made(peer, **config)
    on = process(stands_on(theirs).kind)
    subject = Subject.of(name, host=host)

    def ideal(x: Tensor, first: Point) -> Tensor:
        return oracle.path(x, first, on.clean()) if begin == "own" else oracle.path(z, on.noisiest, on.clean())

    for evaluations in EVALUATIONS:
        spend(theirs, evaluations)
        result, start, first = run(theirs, z, oracle)
        error = rms(result - ideal(start, first))
        laid_out = affordable(subject, evaluations, on)
        assert laid_out is not None
        plan, sigmas = laid_out
        mine = rms(drive(plan, z, oracle.answer) - ideal(z, plan.points[0]))
        assert mine <= TIE * error, f"{evaluations} evaluations on {sigmas.name}: {mine:.4f} against {error:.4f}"


@pytest.mark.parametrize("data", ORACLES)
def test_ipndms_error_on_stable_diffusion_is_no_higher_than_the_peers_on_its_own_levels(
    host: PluginHost, data: str
) -> None:
    """The peer has a table of its own, from pure noise on, and cannot be put on another."""
    oracle, z = ORACLES[data]
    on, own = process("vp"), VariancePreserving.from_betas().zero_terminal_snr()
    subject = Subject.of("ipndm", host=host)
    for evaluations in EVALUATIONS:
        theirs: Any = diffusers.IPNDMScheduler(num_train_timesteps=1000)
        theirs.set_timesteps(evaluations)
        ratios = (theirs.betas.double() / theirs.alphas.double().clamp_min(1e-6)).tolist()
        points = [own.noisiest, *(own.at(s=ratio) for ratio in ratios[1:])]
        sample = z
        for point, timestep in zip(points, theirs.timesteps, strict=False):
            sample = theirs.step(oracle.output(sample, point, Prediction.V), timestep, sample).prev_sample
        error = rms(sample - oracle.path(z, own.noisiest, own.clean()))
        laid_out = affordable(subject, evaluations, on)
        assert laid_out is not None
        plan = laid_out[0]
        mine = rms(drive(plan, z, oracle.answer) - oracle.path(z, plan.points[0], on.clean()))
        assert mine <= TIE * error, f"{evaluations} evaluations: {mine:.4f} against {error:.4f}"


@pytest.mark.parametrize("data", GAUSSIANS)
@named(STOCHASTIC)
def test_the_exact_variance_error_is_no_higher(
    host: PluginHost, monkeypatch: pytest.MonkeyPatch, name: str, peer: str, config: dict[str, Any], data: str
) -> None:
    if peer == "DPMSolverSDEScheduler":
        pytest.importorskip("torchsde")
    theirs, variances = made(peer, **config), GAUSSIANS[data]
    on = process(stands_on(theirs).kind)
    subject = Subject.of(name, host=host)
    for evaluations in EVALUATIONS:
        spend(theirs, evaluations)
        error = rms(variance(theirs, variances, monkeypatch) / variances - 1.0)
        laid_out = affordable(subject, evaluations, on)
        assert laid_out is not None
        plan, sigmas = laid_out
        mine = variance_error(variances)(plan)
        assert mine <= TIE * error, f"{evaluations} evaluations on {sigmas.name}: {mine:.4f} against {error:.4f}"
