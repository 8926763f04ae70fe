"""Our schedulers in diffusers' pipelines against diffusers' own, on the same grid, with the shipped models."""

from __future__ import annotations

from collections.abc import Callable
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


FLOWS = ("shapes-sd3", "shapes-flux")
NUDGES = 4
"""In so many directions a first input is moved."""
MULTISTEP = {"dpmpp-2m": "DPMSolverMultistepScheduler", "unipc": "UniPCMultistepScheduler"}


def _guided(model: str, guidance: float) -> dict[str, Any]:
    """Arguments for guidance; FLUX's own scale is an input of its network."""
    if model == "shapes-flux":
        return {} if guidance == 1.0 else {"true_cfg_scale": guidance, "negative_prompt": ""}
    return {"guidance_scale": guidance}


def _check(draw: Any, pipe: Any, model: str, task: str, guidance: float, tolerance: float, **ours: Any) -> None:
    """Asserts that the latents of our scheduler are those of the pipeline's own within a tolerance.

    Networks amplify the last bit of a float32, on some processors more than on others. So where they are further apart,
    they may be twice as far as the stock is from itself when its network's first input is moved by that bit, the
    furthest of ``NUDGES`` directions: twice, as later steps round as well. Our scheduler has no part in that measure,
    and float64 has no such room.
    """
    stock = pipe.scheduler
    arguments = _guided(model, guidance)
    expected = draw(pipe, model, task, **arguments)
    pipe.scheduler = scheduler(pipeline=pipe, sigmas="stock", **ours)
    got = draw(pipe, model, task, **arguments)
    pipe.scheduler = stock
    if (apart := _distance(got, expected)) < tolerance:
        return
    assert expected.dtype == torch.float32, (guidance, apart)
    nudged = [_nudged(pipe, seed, lambda: draw(pipe, model, task, **arguments)) for seed in range(NUDGES)]
    assert apart <= 2 * max(_distance(other, expected) for other in nudged), (guidance, apart)


def _distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max())


def _nudged(pipe: Any, seed: int, run: Callable[[], torch.Tensor]) -> torch.Tensor:
    """What a run gives when each value of its network's first input is moved by its last bit, up or down."""

    def move(network: Any, arguments: Any, named: dict[str, Any]) -> Any:
        handle.remove()
        x = named["hidden_states"]
        signs = torch.randint(2, x.shape, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1
        return arguments, named | {"hidden_states": torch.nextafter(x, signs.to(x.dtype) * torch.inf)}

    handle = pipe.transformer.register_forward_pre_hook(move, with_kwargs=True)
    try:
        return run()
    finally:
        handle.remove()


@pytest.mark.slow
def test_the_measure_of_a_last_bit_is_small_and_moves_the_latents(pipeline: Any, draw: Any) -> None:
    """It excuses no error: it is far below what another number of steps does."""
    pipe, model = pipeline("shapes-sd3"), "shapes-sd3"
    own = draw(pipe, model)
    moved = _distance(_nudged(pipe, 0, lambda: draw(pipe, model)), own)
    assert 0 < moved < _distance(draw(pipe, model, num_inference_steps=7), own) / 20


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("model", FLOWS)
def test_latents_of_flow_models_are_the_stock_eulers(pipeline: Any, draw: Any, model: str, task: str) -> None:
    """In float64 within 1e-5; in float32 within 1e-4, guided 1e-3, or a last bit's effect, see ``_check``."""
    for dtype, guidance, tolerance in (
        (torch.float64, 1.0, 1e-5),
        (torch.float32, 1.0, 1e-4),
        (torch.float32, 5.0, 1e-3),
    ):
        _check(draw, pipeline(model, task, dtype), model, task, guidance, tolerance, name="euler")


def _on_flow(model: str, name: str) -> Any:
    shift = {"use_dynamic_shifting": True} if model == "shapes-flux" else {"flow_shift": 3.0}
    settings = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "final_sigmas_type": "zero"}
    return getattr(diffusers, MULTISTEP[name])(**settings, **shift)


@pytest.mark.slow
@pytest.mark.parametrize("name", MULTISTEP)
@pytest.mark.parametrize("model", FLOWS)
def test_latents_of_multistep_schedulers_on_flows(pipeline: Any, draw: Any, model: str, name: str) -> None:
    """They show the network whole timesteps, and so do ours on their grid; within what ``_check`` says, in float32."""
    pipe = pipeline(model)
    pipe.scheduler = _on_flow(model, name)
    for guidance, tolerance in ((1.0, 1e-4), (5.0, 1e-3)):
        _check(draw, pipe, model, "text-to-image", guidance, tolerance, name=name, **UNGUARDED[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", MULTISTEP)
@pytest.mark.parametrize("task", TASKS[1:])
@pytest.mark.parametrize("model", FLOWS)
def test_late_flows_are_the_stock_scheduler_and_the_noise_it_lacks(
    pipeline: Any, draw: Any, model: str, task: str, name: str
) -> None:
    """No stock multistep scheduler runs in image to image or inpainting on flows; with ``scale_noise`` some would."""
    pipe = pipeline(model, task)
    pipe.scheduler = stock = _on_flow(model, name)
    # FLUX passes levels, which the stock DPM++ does not take; else noise is asked for by a name that neither has
    with pytest.raises((AttributeError, ValueError), match=r"sigmas|scale_noise"):
        draw(pipe, model, task)
    if (model, name) == ("shapes-flux", "dpmpp-2m"):
        pipe.scheduler = scheduler(name, pipe)
        assert draw(pipe, model, task).isfinite().all()
        return
    stock.scale_noise = lambda sample, timestep, noise: stock.add_noise(sample, noise, timestep.reshape(-1))
    for guidance, tolerance in ((1.0, 1e-4), (5.0, 1e-3)):
        _check(draw, pipe, model, task, guidance, tolerance, name=name, **UNGUARDED[name])


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
