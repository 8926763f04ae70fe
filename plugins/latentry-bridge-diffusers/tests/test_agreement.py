"""Our schedulers in diffusers' pipelines against diffusers' own, on the same grid, with the shipped models."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch

from latentry_bridge_diffusers import scheduler

TASKS = ("text-to-image", "image-to-image", "inpainting")
VP: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {"clip_sample": False}),
    "euler": ("EulerDiscreteScheduler", {}),
    "dpmpp-2m": ("DPMSolverMultistepScheduler", {"final_sigmas_type": "zero"}),
    "unipc": ("UniPCMultistepScheduler", {"final_sigmas_type": "zero"}),
}


UNGUARDED: dict[str, dict[str, Any]] = {"dpmpp-2m": {"guard": False}, "unipc": {"guard": False}}
"""Options for the peer's numbers: it has no guard."""


def _vp_cases() -> list[Any]:
    cases = [(model, name, task) for model in ("shapes", "shapes-sdxl") for name in VP for task in TASKS]
    return [pytest.param(*case, id="-".join(case)) for case in cases]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "name", "task"), _vp_cases())
def test_latents_of_vp_models_are_the_stock_schedulers(
    pipeline: Any, draw: Any, model: str, name: str, task: str
) -> None:
    pipe = pipeline(model, task)
    class_name, settings = VP[name]
    pipe.scheduler = getattr(diffusers, class_name).from_config(pipe.scheduler.config, **settings)
    for guidance, tolerance in ((1.0, 1e-4), (5.0, 1e-3)):
        stock = pipe.scheduler
        expected = draw(pipe, model, task, guidance_scale=guidance)
        pipe.scheduler = scheduler(name, pipe, sigmas="stock", **UNGUARDED.get(name, {}))
        got = draw(pipe, model, task, guidance_scale=guidance)
        pipe.scheduler = stock
        # a stock Euler that was cut short of σ = 0 would hold x/α; all of these runs reach it
        assert torch.allclose(got, expected, atol=tolerance), (guidance, (got - expected).abs().max())


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("model", ["shapes-sd3", "shapes-flux"])
def test_latents_of_flow_models_are_the_stock_eulers(pipeline: Any, draw: Any, model: str, task: str) -> None:
    """In float64: in float32 the networks amplify the last bit of a level to 1e-4, on some processors to more."""
    pipe = pipeline(model, task, torch.float64)
    expected = draw(pipe, model, task)
    pipe.scheduler = scheduler("euler", pipe, sigmas="stock")
    got = draw(pipe, model, task)
    assert torch.allclose(got, expected, atol=1e-5), (got - expected).abs().max()


def _with_fractions(cls: Any) -> Any:
    """diffusers' DPM++ and UniPC cut a flow model's time to whole numbers; without that cut they agree with ours."""

    class WithFractions(cls):  # type: ignore[misc]
        def set_timesteps(self, *arguments: Any, **named: Any) -> None:
            super().set_timesteps(*arguments, **named)
            self.timesteps = (self.sigmas[:-1] * 1000).float()

    WithFractions.__name__ = cls.__name__
    return WithFractions


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "name", "class_name"),
    [
        ("shapes-sd3", "dpmpp-2m", "DPMSolverMultistepScheduler"),  # in FLUX's pipeline the peer does not run
        ("shapes-sd3", "unipc", "UniPCMultistepScheduler"),
        ("shapes-flux", "unipc", "UniPCMultistepScheduler"),
    ],
)
def test_latents_of_multistep_schedulers_on_flows(
    pipeline: Any, draw: Any, model: str, name: str, class_name: str
) -> None:
    pipe = pipeline(model)
    settings = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0}
    pipe.scheduler = _with_fractions(getattr(diffusers, class_name))(**settings, final_sigmas_type="zero")
    expected = draw(pipe, model)
    pipe.scheduler = scheduler(name, pipe, sigmas="stock", **UNGUARDED.get(name, {}))
    got = draw(pipe, model)
    # UniPC's first step divides by α = 1e-6, which float32 tables of the peer know to three digits
    tolerance = 1e-3 if name == "unipc" else 1e-4
    assert torch.allclose(got, expected, atol=tolerance), (got - expected).abs().max()


@pytest.mark.slow
def test_refiners_go_on_where_the_base_stops(pipeline: Any, draw: Any) -> None:
    """``denoising_end`` and ``denoising_start``: two pipelines give what one gives; both hold x.

    A method with two evaluations a step is cut between the two, and is not compared.
    """
    base, refiner = pipeline("shapes-sdxl"), pipeline("shapes-sdxl", "image-to-image")
    for name in ("euler", "ddim", "unipc"):
        whole = pipeline("shapes-sdxl")
        whole.scheduler = scheduler(name, whole, sigmas="leading")
        base.scheduler, refiner.scheduler = (scheduler(name, base, sigmas="leading") for _ in range(2))
        expected = draw(whole, "shapes-sdxl", num_inference_steps=10)
        half = draw(base, "shapes-sdxl", num_inference_steps=10, denoising_end=0.5)
        settings = {"num_inference_steps": 10, "denoising_start": 0.5, "image": half}
        got = draw(refiner, "shapes-sdxl", "image-to-image", **settings)
        if name == "unipc":  # a multistep method loses its history where it is handed over
            assert (got - expected).abs().max() < 0.5
        else:
            assert torch.allclose(got, expected, atol=1e-4), (name, (got - expected).abs().max())
