"""k-diffusion's functions by name, which AUTOMATIC1111 and ComfyUI build on, against k-diffusion itself.

Its dependencies are many, of which its samplers need few: ``pip install --no-deps -r requirements-peers.txt``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import support.k_diffusion
import torch
from support.oracles import noise, relative
from torch import Tensor

from latentry import EDM, Flow, Plan, PluginHost, Prediction, Process, VariancePreserving
from latentry._peers._names import understand
from latentry.testing import MixtureOracle, drive

if support.k_diffusion.missing():
    pytest.skip(f"not installed: {support.k_diffusion.missing()}", allow_module_level=True)

DATA = MixtureOracle()
LEVELS = (14.6, 8.0, 4.0, 2.0, 1.0, 0.5, 0.2, 0.05, 0.0)
PROCESSES: list[Process] = [VariancePreserving.from_betas(), Flow(), EDM()]
DETERMINISTIC = ("sample_euler", "sample_heun", "sample_dpm_2", "sample_lms", "sample_dpmpp_2m")
STOCHASTIC = ("sample_euler_ancestral", "sample_dpm_2_ancestral", "sample_dpmpp_2s_ancestral", "sample_dpmpp_2m_sde")


@pytest.fixture(scope="module")
def sampling() -> Iterator[Any]:
    """``k_diffusion.sampling``."""
    with support.k_diffusion.sampling() as module:
        yield module


def model(x: Tensor, sigma: Tensor, **_: Any) -> Tensor:
    """Their denoiser, of x/α."""
    return DATA.predict(x, EDM().at(s=float(sigma[0])))[0]


def result(host: PluginHost, name: str, process: Process, drawn: list[Tensor], **more: Any) -> Tensor:
    """What the name gives here, on the same levels."""
    meaning = understand(host, name)
    scheduler = host.schedulers.create(meaning.scheduler, **(dict(meaning.options) | more))
    points = tuple(process.at(s=s) for s in LEVELS)
    plan = Plan(scheduler, process, Prediction.V, points)
    x = noise(32, 2) * LEVELS[0] * points[0].alpha
    return drive(plan, x, DATA.answer, noise=lambda like, interval, draw, clock: drawn[interval])


def peers(sampling: Any, name: str, drawn: list[Tensor], **more: Any) -> Tensor:
    """What the function of that name gives."""
    left = iter(drawn)
    given = {"noise_sampler": lambda *_: next(left)} if name not in DETERMINISTIC else {}
    levels = torch.tensor(LEVELS, dtype=torch.float64)
    found: Tensor = getattr(sampling, name)(model, noise(32, 2) * LEVELS[0], levels, disable=True, **given, **more)
    return found


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
@pytest.mark.parametrize("name", [*DETERMINISTIC, *STOCHASTIC])
def test_a_functions_name_gives_its_result(sampling: Any, host: PluginHost, name: str, process: Process) -> None:
    drawn = [noise(32, 2, seed=i) for i in range(len(LEVELS))]
    # its LMS integrates numerically, to 1e-4
    within = 1e-3 if name == "sample_lms" else 1e-12
    assert relative(result(host, name, process, drawn), peers(sampling, name, drawn)) < within
    assert not understand(host, name).notes


@pytest.mark.parametrize("label", ["DPM++ 2M SDE Heun", "dpmpp_2m_sde_heun", "res_multistep_ancestral"])
def test_the_heun_variant_is_its_solver_type(sampling: Any, host: PluginHost, label: str) -> None:
    drawn = [noise(32, 2, seed=i) for i in range(len(LEVELS))]
    expected = peers(sampling, "sample_dpmpp_2m_sde", drawn, solver_type="heun")
    assert relative(result(host, label, EDM(), drawn), expected) < 1e-12


def test_3m_sde_counts_the_second_difference_half(sampling: Any, host: PluginHost) -> None:
    drawn = [noise(32, 2, seed=i) for i in range(len(LEVELS))]
    expected = peers(sampling, "sample_dpmpp_3m_sde", drawn)
    assert "variant=halved" in understand(host, "sample_dpmpp_3m_sde").notes[0]
    assert relative(result(host, "sample_dpmpp_3m_sde", EDM(), drawn, variant="halved"), expected) < 1e-12
    assert relative(result(host, "sample_dpmpp_3m_sde", EDM(), drawn), expected) > 1e-3


def test_the_rules_of_its_sigmas_are_ours(sampling: Any, host: PluginHost) -> None:
    table = VariancePreserving.from_betas()
    low, high = table.cleanest.s, table.noisiest.s
    for name in ("karras", "exponential", "polyexponential"):
        levels = getattr(sampling, f"get_sigmas_{name}")(10, low, high)[:-1].tolist()
        found = [point.s for point in host.sigma_schedules.create(name).points(10, table)]
        assert found == pytest.approx(levels, rel=1e-5)


@pytest.fixture
def double() -> Iterator[None]:
    """Its DPM-Solvers make tensors of their levels, in the default dtype."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
@pytest.mark.parametrize("order", [2, 3])
def test_dpm_adaptive_takes_its_steps(sampling: Any, host: PluginHost, order: int, process: Process) -> None:
    meaning = understand(host, "sample_dpm_adaptive")
    plan = Plan(
        host.schedulers.create(meaning.scheduler, **meaning.options, order=order),
        process,
        Prediction.V,
        (process.at(s=10.0), process.at(s=0.05)),
    )
    for seed in range(3):
        x = noise(1, 2, seed=seed) * 10.0
        taken: list[float] = []
        found, info = sampling.sample_dpm_adaptive(
            model,
            x,
            0.05,
            10.0,
            disable=True,
            order=order,
            return_info=True,
            callback=lambda at, taken=taken: taken.append(float(at["sigma"])),
        )
        assert info["n_reject"] + info["n_accept"] == info["steps"] == len(taken) > 5
        run, asked = plan.start(x * plan.points[0].alpha), 0
        while (query := run.query) is not None:
            run.advance(DATA.answer(query, plan))
            asked += 1
        assert asked == info["nfe"] - info["n_reject"]
        assert relative(run.sample / plan.points[-1].alpha, found) < 1e-9


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("steps", [5, 6, 9, 10])
def test_dpm_fast_is_its_single_steps_on_its_levels(sampling: Any, host: PluginHost, steps: int) -> None:
    meaning = understand(host, "sample_dpm_fast")
    assert "equally long in λ" in meaning.notes[0]
    orders = [3] * (steps // 3) + [steps % 3] if steps % 3 else [3] * (steps // 3 - 1) + [2, 1]
    high, low = -math.log(10.0), -math.log(0.05)
    length = (low - high) / len(orders)
    lams = [high + length * (i + k / order) for i, order in enumerate(orders) for k in range(order)]
    points = tuple(EDM().at(lam=lam) for lam in (*lams, low))
    plan = Plan(host.schedulers.create(meaning.scheduler, **meaning.options), EDM(), Prediction.EDM, points)
    x = noise(32, 2) * 10.0
    expected = sampling.sample_dpm_fast(model, x, 0.05, 10.0, steps, disable=True)
    assert plan.evaluations == steps
    assert relative(drive(plan, x, DATA.answer), expected) < 1e-12
