"""Noise tables, timesteps and step loops against diffusers' schedulers."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler
from torch import Tensor

from latentry import Leading, Linspace, Prediction, Stepwise, Trailing, VariancePreserving
from latentry.models import variance_preserving_settings
from latentry.sigmas import SigmaSchedule
from latentry_ddim import DDIM
from latentry_euler import Euler

SD15: dict[str, Any] = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
DDIM_SD15 = SD15 | {"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
SD = VariancePreserving.from_betas()
PEERS_TABLE = VariancePreserving(tuple(DDIMScheduler(**SD15).alphas_cumprod.double().tolist()))
"""Rounded to float32, so that loops are compared and not tables."""
CLOSE = {"rtol": 1e-5, "atol": 1e-6}
EVERY = range(1, 1001)


@pytest.mark.parametrize(
    "config",
    [
        {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02},
        {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02, "num_train_timesteps": 400},
        SD15,
        {"beta_schedule": "squaredcos_cap_v2"},
        {},
        {"trained_betas": np.linspace(0.001, 0.3, 40).tolist()},
    ],
    ids=["linear", "linear-400", "sd", "cosine", "defaults", "trained"],
)
def test_a_configuration_gives_the_peers_table(config: dict[str, Any]) -> None:
    ours = variance_preserving_settings(config).process
    theirs = DDIMScheduler(**config).alphas_cumprod
    assert isinstance(ours, VariancePreserving)
    assert torch.allclose(torch.tensor(ours.alphas_cumprod), theirs, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("schedule", ["linear", "scaled_linear"])
def test_zero_terminal_snr_gives_the_peers_table(schedule: str) -> None:
    config = SD15 | {"beta_schedule": schedule, "rescale_betas_zero_snr": True}
    ours = variance_preserving_settings(config)
    theirs = DDIMScheduler(**config).alphas_cumprod
    assert isinstance(ours.process, VariancePreserving)
    table = torch.tensor(ours.process.alphas_cumprod)
    assert table[-1] == theirs[-1] == 0.0
    assert torch.allclose(table[:-10], theirs[:-10], rtol=1e-5)
    assert torch.allclose(table, theirs, rtol=1e-3)  # float32 cancels where the peer's ᾱ nears 0
    assert ours.demand is not None
    assert ours.demand.name == "latentry:trailing"


@pytest.mark.parametrize(
    ("named", "prediction"),
    [("epsilon", Prediction.EPSILON), ("v_prediction", Prediction.V), ("sample", Prediction.X0)],
)
def test_a_configuration_names_the_prediction(named: str, prediction: Prediction) -> None:
    assert variance_preserving_settings(SD15 | {"prediction_type": named}).prediction is prediction


def test_the_ratio_is_the_peers_sigma() -> None:
    sigmas = EulerDiscreteScheduler(**SD15).sigmas
    ours = torch.tensor([SD.at(timestep=t).s for t in reversed(range(1000))])
    assert torch.allclose(ours, sigmas[:-1], rtol=5e-5)  # the peer takes ᾱ near 1 from 1 in float32


def timesteps(rule: SigmaSchedule, steps: int) -> list[float]:
    return [point.timestep for point in rule.points(steps, SD)]


@cache
def peer(kind: type[Any], spacing: str, offset: int) -> Any:
    return kind(**SD15, timestep_spacing=spacing, steps_offset=offset)


def peers(kind: type[Any], spacing: str, steps: int, offset: int = 0) -> list[float]:
    scheduler = peer(kind, spacing, offset)
    scheduler.set_timesteps(steps)
    return [float(t) for t in scheduler.timesteps.tolist()]


@pytest.mark.parametrize("offset", [0, 1])
def test_leading_is_the_peers(offset: int) -> None:
    for steps in EVERY[1:]:  # one step of the peer begins at the clean end
        if (steps - 1) * (1000 // steps) + offset > 999:
            continue  # the peer would leave its own table
        expected = peers(DDIMScheduler, "leading", steps, offset)
        assert timesteps(Leading(offset=offset), steps) == expected, steps
    assert timesteps(Leading(offset=1), 20) == peers(EulerDiscreteScheduler, "leading", 20, 1)


def assert_equal_but_for_ties(ours: list[float], theirs: list[float], stride: float) -> None:
    """Where a timestep lies halfway between two whole ones, the peer's rounding hangs on its last bit."""
    assert len(ours) == len(theirs)
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        halfway = abs(i * stride % 1 - 0.5) < 1e-9
        assert a == b or (halfway and abs(a - b) == 1), (len(ours), i)


def test_linspace_is_the_peers() -> None:
    for steps in EVERY[1:]:  # of one step the peer makes timestep 0, which cannot sample
        expected = peers(DDIMScheduler, "linspace", steps)
        assert_equal_but_for_ties(timesteps(Linspace(rounded=True), steps), expected, 999 / (steps - 1))
    for steps in (2, 3, 7, 20, 50, 333, 999, 1000):
        euler = peers(EulerDiscreteScheduler, "linspace", steps)
        assert timesteps(Linspace(), steps) == pytest.approx(euler, abs=1e-3), steps


def test_trailing_is_the_peers() -> None:
    longer = []
    for steps in EVERY:
        expected = peers(DDIMScheduler, "trailing", steps)
        if len(expected) != steps:
            longer.append(steps)  # rounding in the peer's own arange gives one more, at timestep -1
            assert expected[-1] == -1
            expected.pop()
        assert_equal_but_for_ties(timesteps(Trailing(), steps), expected, 1000 / steps)
    assert len(longer) < 100
    for steps in (1, 3, 20, 30):
        assert timesteps(Trailing(), steps) == peers(EulerDiscreteScheduler, "trailing", steps)


def toy(x: Tensor, timestep: Tensor | float) -> Tensor:
    """A network that is not linear and knows the time; x is the process's own on both sides."""
    return torch.sin(1.7 * x + float(timestep) / 300) + 0.3 * x


def our_loop(built: Stepwise, x: Tensor, begin: int = 0, generator: torch.Generator | None = None) -> list[Tensor]:
    samples = []
    for timestep in built.timesteps[begin:]:
        output = toy(built.scale_model_input(x, timestep), timestep)
        x = built.step(output, timestep, x, generator=generator)
        samples.append(x)
    return samples


def ddim_loop(
    x: Tensor, steps: int, begin: int = 0, eta: float = 0.0, generator: torch.Generator | None = None, **config: Any
) -> list[Tensor]:
    scheduler: Any = DDIMScheduler(**(DDIM_SD15 | config))
    scheduler.set_timesteps(steps)
    samples = []
    for timestep in scheduler.timesteps[begin:]:
        output = toy(scheduler.scale_model_input(x, timestep), timestep)
        x = scheduler.step(output, timestep, x, eta=eta, generator=generator).prev_sample
        samples.append(x)
    return samples


def assert_same(ours: list[Tensor], theirs: list[Tensor], tolerance: float = 1e-5) -> None:
    assert len(ours) == len(theirs)
    for step, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        scale = float(b.abs().max())
        assert float((a - b).abs().max()) <= tolerance * max(scale, 1.0), step


def start() -> Tensor:
    return torch.randn((2, 4, 8, 8), generator=torch.Generator().manual_seed(5), dtype=torch.float64)


@pytest.mark.parametrize("steps", [2, 7, 20, 50])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_ddims_loop_is_the_peers(steps: int, prediction: str) -> None:
    built = DDIM().build(steps, process=PEERS_TABLE, prediction=Prediction(prediction))
    assert_same(our_loop(built, start()), ddim_loop(start(), steps, prediction_type=prediction))


def test_ddims_loop_to_no_noise_is_the_peers() -> None:
    built = DDIM().build(20, process=PEERS_TABLE, final="zero")
    assert_same(our_loop(built, start()), ddim_loop(start(), 20, set_alpha_to_one=True))


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_ddims_noise_is_the_peers_from_the_same_generator(eta: float) -> None:
    built, x = DDIM(eta=eta).build(20, process=PEERS_TABLE), start().float()
    ours = our_loop(built, x, generator=torch.Generator().manual_seed(3))
    theirs = ddim_loop(x, 20, eta=eta, generator=torch.Generator().manual_seed(3))
    assert_same(ours, theirs)


@pytest.mark.parametrize("begin", [1, 8, 19])
def test_image_to_image_begins_where_the_peer_begins(begin: int) -> None:
    scheduler = DDIMScheduler(**DDIM_SD15)
    scheduler.set_timesteps(20)
    built, noise = DDIM().build(20, process=PEERS_TABLE), start().flip(0)
    begun = built.add_noise(start(), noise, built.timesteps[begin])
    expected = scheduler.add_noise(start(), noise, scheduler.timesteps[begin : begin + 1])
    assert torch.allclose(begun, expected, **CLOSE)
    assert_same(our_loop(built, begun, begin), ddim_loop(begun, 20, begin))


def test_added_noise_is_the_peers_for_each_row() -> None:
    times = torch.tensor([1, 951])
    ours = DDIM().build(20).add_noise(start(), start().flip(0), times)
    assert torch.allclose(ours, DDIMScheduler(**DDIM_SD15).add_noise(start(), start().flip(0), times), **CLOSE)


@pytest.mark.parametrize("final", ["zero", "table"])
@pytest.mark.parametrize("rule", [Leading(), Linspace(), Trailing()], ids=["leading", "linspace", "trailing"])
@pytest.mark.parametrize("steps", [5, 20])
def test_eulers_loop_is_the_peers(steps: int, rule: SigmaSchedule, final: str) -> None:
    """The peer keeps x̄ = x/α: it is given x/α, and its samples are compared times α."""
    spacing = type(rule).__name__.lower()
    scheduler: Any = EulerDiscreteScheduler(
        **SD15,
        timestep_spacing=spacing,
        steps_offset=1,
        final_sigmas_type="zero" if final == "zero" else "sigma_min",
    )
    scheduler.set_timesteps(steps)
    if isinstance(rule, Linspace) and final == "table":
        assert float(scheduler.sigmas[-1]) == float(scheduler.sigmas[-2])  # the peer's last step ends where it begins
        built = Euler().build(steps, process=PEERS_TABLE, sigmas=rule, final="table")
        assert built.plan.points == rule.points(steps + 1, PEERS_TABLE)
        return
    built = Euler().build(steps, process=PEERS_TABLE, sigmas=rule, final=final)  # type: ignore[arg-type]
    assert built.timesteps.tolist() == pytest.approx(scheduler.timesteps.tolist(), abs=1e-3)
    alphas = [point.alpha for point in built.plan.points]
    x, theirs = start() / alphas[0], []
    for i, timestep in enumerate(scheduler.timesteps):
        output = toy(scheduler.scale_model_input(x, timestep), built.timesteps[i])
        x = scheduler.step(output, timestep, x).prev_sample
        theirs.append(x * alphas[i + 1])
    # between whole timesteps the peer interpolates σ/α, and ours the angle
    assert_same(our_loop(built, start()), theirs, 1e-4 if isinstance(rule, Linspace) else 1e-5)


@pytest.mark.parametrize(
    ("rule", "convention"), [(Leading(), "unit"), (Linspace(), "sigma"), (Trailing(), "sigma")], ids=lambda v: str(v)
)
def test_eulers_initial_noise_is_the_peers(rule: SigmaSchedule, convention: Any) -> None:
    spacing = type(rule).__name__.lower()
    scheduler: Any = EulerDiscreteScheduler(**SD15, timestep_spacing=spacing, steps_offset=1)
    scheduler.set_timesteps(20)
    plan = Euler().build(20, sigmas=rule).plan
    expected = float(scheduler.init_noise_sigma) * plan.points[0].alpha
    assert plan.noise_scale(convention) == pytest.approx(expected, rel=1e-5)
