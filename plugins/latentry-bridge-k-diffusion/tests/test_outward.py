"""Every scheduler in k-diffusion's calling convention."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import torch
from support.k_diffusion import missing, sampling
from torch import Tensor

from latentry import EDM, Flow, IncompatibleError, Plan, PluginHost, Prediction, UnknownName, VariancePreserving
from latentry.testing import MixtureOracle, drive
from latentry.testing._checks._accuracy._convergence import EVEN, HIGH, LOW, TOO_LOW, starts
from latentry.testing._networks._processes import graded, in_lambda
from latentry_bridge_k_diffusion import Sampler, form, sampler

DATA, HOST = MixtureOracle(), PluginHost()
LEVELS = (14.6, 8.0, 4.0, 2.0, 1.0, 0.5, 0.2, 0.05, 0.0)
TIMES = (1.0, 0.9, 0.7, 0.5, 0.3, 0.1, 0.0)
PLAIN = [name for name in HOST.schedulers if not (HOST.schedulers[name].needs or HOST.schedulers[name].adaptive)]
ORDERS = [name for name in PLAIN if not HOST.schedulers[name].stochastic]


@pytest.fixture(scope="module")
def k() -> Iterator[Any]:
    if missing():
        pytest.skip(f"not installed: {missing()}")
    with sampling() as module:
        yield module


def _model(x: Tensor, sigma: Tensor, **_: Any) -> Tensor:
    assert sigma.shape == (len(x),)
    return DATA.predict(x.double(), EDM().at(s=float(sigma[0])))[0].to(x.dtype)


def _on_flow(x: Tensor, sigma: Tensor, **_: Any) -> Tensor:
    return DATA.predict(x, Flow().customary(float(sigma[0])))[0]


def _x(rows: int = 3) -> Tensor:
    return torch.randn(rows, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def _sigmas(*levels: float) -> Tensor:
    return torch.tensor(levels, dtype=torch.float64)


@pytest.mark.slow
@pytest.mark.parametrize("flow", [False, True], ids=["levels", "flow"])
@pytest.mark.parametrize("name", PLAIN)
def test_a_sampler_gives_what_the_schedulers_own_run_gives(name: str, flow: bool) -> None:
    """That of VP, on the same levels: what a scheduler makes of x/α depends on no process."""
    process = Flow() if flow else VariancePreserving.from_betas()
    levels, model = (TIMES, _on_flow) if flow else (LEVELS, _model)
    points = tuple(process.customary(level) for level in levels)
    plan = Plan(HOST.schedulers.create(name), process, Prediction.FLOW if flow else Prediction.V, points)
    x = _x() if flow else LEVELS[0] * _x()
    expected = drive(plan, x * (1.0 if flow else plan.points[0].alpha), DATA.answer, seed=3)
    asked: list[float] = []

    def counting(sample: Tensor, sigma: Tensor, **extra: Any) -> Tensor:
        asked.append(float(sigma[0]))
        return model(sample, sigma, **extra)

    got = sampler(name, flow=flow)(counting, x, _sigmas(*levels), extra_args={"seed": 3})
    assert len(asked) == plan.evaluations
    assert torch.allclose(got, expected, rtol=1e-7, atol=1e-7), (got - expected).abs().max()


@pytest.mark.slow
@pytest.mark.parametrize("name", ORDERS)
def test_orders_through_the_calling_convention(name: str) -> None:
    """On the kit's oracle and grid: as high as the record declares."""
    order, made = HOST.schedulers[name].order, sampler(name)
    errors, longest = [], []
    for steps in EVEN:
        places = graded(steps, order, math.log(HIGH / LOW))
        levels = _sigmas(*(math.exp(-in_lambda(HIGH, LOW)(place)) for place in places))
        exact = DATA.path(starts(HIGH), EDM().at(s=HIGH), EDM().at(s=LOW))
        errors.append(float((made(_model, starts(HIGH), levels) - exact).square().mean().sqrt()))
        longest.append(max(b - a for a, b in pairwise(places)))
    found = math.log(errors[0] / errors[1]) / math.log(longest[0] / longest[1])
    assert found > (HOST.schedulers[name].variable_order or order) - 2 * TOO_LOW, found


@pytest.mark.parametrize(
    "function", ["sample_euler", "sample_heun", "sample_dpmpp_2m", "sample_euler_ancestral", "sample_dpmpp_2m_sde"]
)
def test_it_stands_in_for_k_diffusions_own(k: Any, function: str) -> None:
    """Under the option values of the peer's name, and with noise from one Brownian tree."""
    x, sigmas = LEVELS[0] * _x(), _sigmas(*LEVELS)

    def tree() -> Any:
        return k.BrownianTreeNoiseSampler(x, 0.05, 14.6, seed=7)

    peer = {"noise_sampler": tree()} if function.endswith(("ancestral", "sde")) else {}
    expected = getattr(k, function)(_model, x, sigmas, disable=True, **peer)
    got = sampler(function)(_model, x, sigmas, noise_sampler=tree())
    assert torch.allclose(got, expected, rtol=0.0, atol=1e-6), (got - expected).abs().max()


def test_the_callback_is_told_of_each_step() -> None:
    told: list[dict[str, Any]] = []
    x, sigmas = LEVELS[0] * _x(), _sigmas(*LEVELS)
    sampler("heun")(_model, x, sigmas, callback=told.append)
    assert [each["i"] for each in told] == list(range(len(LEVELS) - 1))
    assert all(torch.equal(each["sigma"], sigmas[each["i"]]) for each in told)
    assert all(torch.allclose(each["denoised"], _model(each["x"], each["sigma_hat"].expand(3))) for each in told)
    told.clear()
    sampler("euler", churn=8.0)(_model, x, sigmas, callback=told.append, extra_args={"seed": 1})
    assert all(each["sigma_hat"] > each["sigma"] for each in told[:-1])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dpmpp-2m", "heun", "unipc"])
def test_any_part_of_a_grid(name: str) -> None:
    """One that does not end in 0, one that rises, equal neighbours, and too few levels."""
    made, x = sampler(name), 2.0 * _x()
    for levels in ((), (2.0,)):
        assert made(_model, x, _sigmas(*levels)) is x
    down = torch.exp(torch.linspace(math.log(2.0), math.log(0.5), 60, dtype=torch.float64))
    low = made(_model, x, down)
    exact = DATA.path(x, EDM().at(s=2.0), EDM().at(s=0.5))
    assert torch.allclose(low, exact, atol=2e-3)
    assert torch.allclose(made(_model, low, down.flip(0)), x, atol=5e-3)
    twice = torch.cat([down[:7], down[6:]])
    assert torch.allclose(made(_model, x, twice), low, atol=1e-12)


def test_half_precision_goes_in_and_out_and_float32_is_kept_inside() -> None:
    x, sigmas, seen = (LEVELS[0] * _x()).bfloat16(), _sigmas(*LEVELS).float(), set()

    def model(sample: Tensor, sigma: Tensor, **_: Any) -> Tensor:
        seen.add((sample.dtype, sigma.dtype))
        return _model(sample, sigma)

    got = sampler("unipc")(model, x, sigmas)
    assert got.dtype == torch.bfloat16
    assert seen == {(torch.bfloat16, torch.bfloat16)}


def test_noise_is_the_callers_a_seeds_or_torchs() -> None:
    made, x, sigmas = sampler("euler-ancestral"), LEVELS[0] * _x(), _sigmas(*LEVELS)
    by_seed = [made(_model, x, sigmas, extra_args={"seed": seed}) for seed in (1, 1, 2)]
    assert torch.equal(by_seed[0], by_seed[1]) and not torch.equal(by_seed[0], by_seed[2])
    by_torch = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        by_torch.append(made(_model, x, sigmas))
    assert torch.equal(by_torch[0], by_torch[1]) and not torch.equal(by_torch[0], by_torch[2])
    none = made(_model, x, sigmas, noise_sampler=lambda sigma, sigma_next: torch.zeros_like(x))
    assert torch.allclose(none, sampler("euler-ancestral", noise_scale=0.0)(_model, x, sigmas))


@pytest.mark.parametrize("name", ["euler-ancestral", "seeds-3", "dpmpp-sde", "sa-solver"])
def test_pieces_of_a_path_are_never_used_twice(name: str) -> None:
    pieces: list[tuple[float, float]] = []

    def noise_sampler(sigma: Tensor, sigma_next: Tensor) -> Tensor:
        pieces.append((float(sigma), float(sigma_next)))
        return torch.zeros(3, 2)

    sampler(name)(_model, LEVELS[0] * _x(), _sigmas(*LEVELS), noise_sampler=noise_sampler)
    assert pieces
    assert all(high > low for high, low in pieces)
    assert all(below <= above + 1e-12 for (_, above), (below, _) in pairwise(pieces))
    assert name != "euler-ancestral" or set(pieces) <= set(pairwise(LEVELS))  # as k-diffusion asks for them


def test_an_interrupt_of_the_model_ends_the_run() -> None:
    class Interrupted(Exception):
        pass

    def model(x: Tensor, sigma: Tensor, **_: Any) -> Tensor:
        raise Interrupted

    with pytest.raises(Interrupted):
        sampler("unipc")(model, _x(), _sigmas(*LEVELS))


def test_what_cannot_be_done_is_refused() -> None:
    x, sigmas = LEVELS[0] * _x(), _sigmas(*LEVELS)
    with pytest.raises(IncompatibleError, match="without guidance"):
        sampler("ddim-cfgpp")(_model, x, sigmas)
    with pytest.raises(IncompatibleError, match="one sample at a time"):
        sampler("dpm-adaptive")(_model, x, sigmas)
    assert sampler("dpm-adaptive")(_model, x[:1], sigmas).shape == (1, 2)
    with pytest.raises(UnknownName):
        sampler("no-such-sampler")


def test_cfg_pp_takes_the_unguided_answer() -> None:
    """Where both answers are one it is the plain method."""
    x, sigmas, last = LEVELS[0] * _x(), _sigmas(*LEVELS), []

    def model(sample: Tensor, sigma: Tensor, **_: Any) -> Tensor:
        last.append(_model(sample, sigma))
        return last[-1]

    got = sampler("ddim-cfgpp")(model, x, sigmas, unguided=lambda: last[-1])
    assert torch.allclose(got, sampler("ddim")(_model, x, sigmas), atol=1e-9)


def test_a_sampler_is_a_value_with_a_name() -> None:
    made = sampler("DPM++ 2M Karras")
    assert isinstance(made, Sampler)
    assert (made.name, made.__name__) == ("latentry-dpmpp:dpmpp-2m", "sample_dpmpp_2m")
    assert copy.deepcopy(made) == made == sampler("dpmpp-2m", guard=False)  # another program's name


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["schedulers", "sigma_schedules"])
def test_the_form_of_every_option_has_values_that_the_option_takes(kind: Any) -> None:
    registry = getattr(HOST, kind)
    for name in registry:
        fields = form(name, kind=kind)
        assert [field.name for field in fields] == list(registry.load(name).model_fields)
        for field in fields:
            assert field.description
            values = [field.default, *field.choices]
            values += {"bool": [True, False], "int": [field.least or 1]}.get(field.kind, [])
            for value in values:
                registry.create(name, **{field.name: value})
