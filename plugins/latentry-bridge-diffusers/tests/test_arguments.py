"""What ``scheduler`` is given reaches the run: against the plan that the core itself lays out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EDMEulerScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
)

from latentry import EDM, Karras, Plan, PluginHost, Prediction, Trailing
from latentry.models import variance_preserving_settings
from latentry_bridge_diffusers import LatentryScheduler, scheduler

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
STOCK = DDIMScheduler(**BETAS, clip_sample=False)


def _plan(name: str = "euler", steps: int = 6, **given: Any) -> Plan:
    process = variance_preserving_settings({**BETAS, "num_train_timesteps": 1000}).process
    return PluginHost().schedulers.create(name).plan(steps, process=process, prediction=Prediction.EPSILON, **given)


def _laid_out(made: LatentryScheduler, plan: Plan) -> bool:
    """Whether the scheduler's levels equal a plan's, including the last one."""
    levels = [*(query.point.s for query in plan.queries or ()), plan.points[-1].s]
    return len(made.sigmas) == len(levels) and torch.allclose(made.sigmas, torch.tensor(levels), rtol=1e-5)


@pytest.mark.parametrize("final", ["zero", "table"])
def test_the_end_of_a_run(final: Any) -> None:
    made = scheduler("euler", STOCK, sigmas="karras", final=final)
    made.set_timesteps(6)
    assert (float(made.sigmas[-1]) == 0.0) is (final == "zero")
    assert _laid_out(made, _plan(sigmas=Karras(), final=final))


@pytest.mark.parametrize("rho", [3.0, 7.0])
def test_options_of_the_sigma_schedule(rho: float) -> None:
    made = scheduler("euler", STOCK, sigmas="karras", sigma_options={"rho": rho}, final="zero")
    made.set_timesteps(6)
    assert _laid_out(made, _plan(sigmas=Karras(rho=rho), final="zero"))


def test_the_scale_of_the_initial_noise() -> None:
    for scale in ("unit", "sigma"):
        made = scheduler("euler", STOCK, sigmas="trailing", initial_noise=scale)
        made.set_timesteps(6)
        plan = _plan(sigmas=Trailing())
        assert made.init_noise_sigma == plan.noise_scale(scale)
    assert made.init_noise_sigma != 1.0


@pytest.mark.parametrize("name", ["shift", "flow_shift"])
def test_a_flows_shift_by_either_of_its_names(name: str) -> None:
    stock: Any = FlowMatchEulerDiscreteScheduler(shift=2.5)
    if name == "flow_shift":
        settings = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 2.5}
        stock = DPMSolverMultistepScheduler(**settings)
    made = scheduler("euler", stock, sigmas="trailing")
    made.set_timesteps(4)
    sigmas = [2.5 * u / (1 + 1.5 * u) for u in (1.0, 0.75, 0.5, 0.25)]
    assert torch.allclose(made.timesteps, 1000 * torch.tensor(sigmas), rtol=1e-5)


def test_a_shift_from_the_size_reaches_named_schedules() -> None:
    made = scheduler("euler", FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True), sigmas="trailing")
    made.set_timesteps(4, mu=0.8)
    shift = float(torch.tensor(0.8).exp())
    sigmas = [shift * u / (1 + (shift - 1) * u) for u in (1.0, 0.75, 0.5, 0.25)]
    assert torch.allclose(made.timesteps, 1000 * torch.tensor(sigmas), rtol=1e-5)


def test_what_the_checkpoint_demands_goes_before_the_schedulers_preference() -> None:
    """A run must begin at zero terminal SNR, and only trailing spacing includes that level."""
    stock = DDIMScheduler(
        **BETAS, rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing="trailing"
    )
    made = scheduler("euler", stock)
    made.set_timesteps(5)
    peer = DDIMScheduler.from_config(stock.config)
    peer.set_timesteps(5)
    assert torch.allclose(made.timesteps, peer.timesteps.float())


def test_what_the_network_predicts() -> None:
    clean, noise = torch.full((1, 1, 2, 2), 0.5), torch.full((1, 1, 2, 2), -1.0)
    for prediction in ("epsilon", "v_prediction", "sample"):
        made = scheduler("ddim", DDIMScheduler(**BETAS, prediction_type=prediction), sigmas="trailing")
        made.set_timesteps(4)
        x = made.add_noise(clean, noise, made.timesteps[:1])
        for t in made.timesteps:
            outputs = {"epsilon": noise, "sample": clean, "v_prediction": made.get_velocity(clean, noise, t[None])}
            x = made.step(outputs[prediction], t, x, return_dict=False)[0]
        assert torch.allclose(x, clean, atol=1e-3), prediction  # an exact network arrives at the picture


@pytest.mark.parametrize("set_alpha_to_one", [True, False])
def test_the_stock_grid_ends_where_ddim_does(set_alpha_to_one: bool) -> None:
    stock = DDIMScheduler(**BETAS, set_alpha_to_one=set_alpha_to_one)
    made = scheduler("ddim", stock, sigmas="stock")
    made.set_timesteps(5)
    assert (float(made.sigmas[-1]) == 0.0) is set_alpha_to_one


@pytest.mark.parametrize("final", ["zero", "sigma_min"])
def test_the_stock_grid_ends_where_a_schedulers_own_sigmas_do(final: str) -> None:
    stock = DPMSolverMultistepScheduler(**BETAS, final_sigmas_type=final)
    made = scheduler("dpmpp-2m", stock, sigmas="stock")
    made.set_timesteps(5)
    stock.set_timesteps(5)
    assert torch.allclose(made.sigmas, stock.sigmas, rtol=1e-4)


def test_timesteps_of_the_pipelines_user() -> None:
    made, given = scheduler("euler", STOCK), [981, 700, 333, 1]
    made.set_timesteps(timesteps=given)
    assert torch.allclose(made.timesteps, torch.tensor(given).float(), rtol=1e-4)


def test_edm_networks_are_shown_scaled_samples() -> None:
    stock = EDMEulerScheduler()
    made = scheduler("euler", stock, sigmas="stock")
    made.set_timesteps(5)
    stock.set_timesteps(5)
    x = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(1)) * made.init_noise_sigma
    assert isinstance(made._training.process, EDM)
    assert torch.allclose(made.timesteps, stock.timesteps, rtol=1e-4)
    ours = made.scale_model_input(x, made.timesteps[0])
    assert torch.allclose(ours, stock.scale_model_input(x, stock.timesteps[0]), rtol=1e-4)
    assert not torch.allclose(ours, x)


def test_two_evaluations_a_step_are_told_as_diffusers_tells_them() -> None:
    for name, order in (("heun", 2), ("euler", 1)):
        made = scheduler(name, STOCK)
        made.set_timesteps(4)
        assert made.order == order


def test_a_sample_that_the_pipeline_blended_counts() -> None:
    """From the changed sample on, the run is that of the changed sample."""
    made = scheduler("euler", EulerDiscreteScheduler(**BETAS), sigmas="trailing")
    made.set_timesteps(3)
    x = torch.zeros(1, 1, 2, 2)
    x = made.step(torch.ones_like(x), made.timesteps[0], x, return_dict=False)[0]
    blended = x + 1.0
    kept = made.step(torch.ones_like(x), made.timesteps[1], blended, return_dict=False)[0]
    made.set_timesteps(3)
    x = made.step(torch.ones_like(x), made.timesteps[0], torch.zeros_like(x), return_dict=False)[0]
    unchanged = made.step(torch.ones_like(x), made.timesteps[1], x, return_dict=False)[0]
    assert not torch.allclose(kept, unchanged)
