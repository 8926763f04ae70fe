"""A plan on the scheduler's own preference, and the whole loop in one call."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import latentry
from latentry import (
    EDM,
    Flow,
    Interval,
    Karras,
    Noise,
    OptionError,
    PluginHost,
    Prediction,
    Process,
    ProcessKind,
    Scheduler,
    Step,
    VariancePreserving,
)
from latentry._contract._noise_settings import NoiseSettings
from latentry._resolve._planning._on_process import plan_on_process
from latentry.testing import GaussianOracle, MixtureOracle, Oracle

PROCESSES: dict[ProcessKind, Process] = {"vp": VariancePreserving.from_betas(), "flow": Flow(), "edm": EDM()}
NATURAL: dict[ProcessKind, Prediction] = {"vp": Prediction.V, "flow": Prediction.FLOW, "edm": Prediction.EDM}


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost()


def oracle_network(oracle: Oracle, process: Process, prediction: Prediction) -> Callable[[Tensor, float], Tensor]:
    """An oracle as other people's networks are: a function of scaled samples and a timestep."""

    def network(x: Tensor, timestep: float) -> Tensor:
        point = process.at(timestep=timestep)
        return oracle.output(x / point.scale, point, prediction, process.data_std)

    return network


@pytest.mark.slow
@pytest.mark.parametrize("kind", PROCESSES)
def test_a_plan_without_sigmas_is_what_a_request_gets(host: PluginHost, kind: ProcessKind) -> None:
    fitting = [name for name in host.schedulers if kind in host.schedulers[name].processes]
    for name in fitting[:: 1 if kind == "flow" else 6]:
        noise, shift = NoiseSettings(PROCESSES[kind], NATURAL[kind]), 3.0 if kind == "flow" else None
        asked = plan_on_process(host, name, noise, 12, options={}, sigma_options={}, shift=shift).plan
        own = host.schedulers.create(name).plan(12, process=noise.process, prediction=noise.prediction, shift=shift)
        assert own.points == asked.points, name


def test_a_class_that_no_plugin_registers_has_the_grid_of_a_record_that_names_none() -> None:
    class Mine(Scheduler):
        def step(self, x: Tensor, interval: Interval, memory: Any, noise: Noise) -> Step:
            denoised = yield interval.start.query(x)
            return denoised.at(interval.end), memory

    plan = Mine().plan(5, process=Flow(), prediction=Prediction.FLOW, shift=3.0)
    even = [1.0, 0.8, 0.6, 0.4, 0.2, 0.0]
    assert [p.sigma for p in plan.points] == pytest.approx([3 * t / (1 + 2 * t) for t in even])


def test_a_shift_beside_sigmas_and_a_missing_number_of_steps_are_refused(host: PluginHost) -> None:
    euler = host.schedulers.create("euler")
    with pytest.raises(OptionError, match="no effect beside sigmas"):
        euler.plan(5, process=Flow(), prediction=Prediction.FLOW, sigmas=Karras(), shift=3.0)
    with pytest.raises(OptionError, match="number of steps is missing"):
        euler.plan(process=Flow(), prediction=Prediction.FLOW)


@pytest.mark.slow
@pytest.mark.parametrize("kind", PROCESSES)
def test_sample_ends_where_the_exact_path_does(kind: ProcessKind) -> None:
    process, prediction, oracle = PROCESSES[kind], NATURAL[kind], MixtureOracle()
    noise = torch.randn(16, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = latentry.sample(
        oracle_network(oracle, process, prediction),
        noise,
        scheduler="unipc",
        steps=60,
        process=process,
        prediction=prediction,
    )
    first = process.noisiest
    exact = oracle.path(noise * max(1.0, first.sigma), first, process.clean())
    assert found.dtype == torch.float64
    assert (found - exact).square().mean().sqrt() < 2e-3


def test_sample_takes_names_with_a_schedule_objects_adaptive_ones_and_pairs(host: PluginHost) -> None:
    process, prediction, oracle = PROCESSES["vp"], Prediction.EPSILON, GaussianOracle()
    network = oracle_network(oracle, process, prediction)
    noise = torch.randn(3, 4, generator=torch.Generator().manual_seed(2))

    def drawn(scheduler: Scheduler | str, network: Any = network, **rest: Any) -> Tensor:
        where = {"process": process, "prediction": prediction, "host": host}
        return latentry.sample(network, noise, scheduler=scheduler, **where, **rest)

    named = drawn("dpmpp_2m_karras", steps=10)
    made = drawn(host.schedulers.create("dpmpp-2m"), steps=10, sigmas=Karras(), final=None)
    assert torch.equal(named, made)
    alone = torch.cat(
        [
            latentry.sample(
                network, row, scheduler="dpm-adaptive", steps=1, process=process, prediction=prediction, host=host
            )
            for row in noise.split(1)
        ]
    )
    assert torch.equal(drawn("dpm-adaptive", steps=1), alone)
    levels = [14.6, 3.0, 0.5]
    pair = drawn("ddim-cfgpp", lambda x, t: (network(x, t), network(x, t)), sigmas=levels)
    assert torch.allclose(pair, drawn("ddim", sigmas=levels), atol=1e-5)


def test_a_stochastic_sample_follows_its_seed() -> None:
    x, where = torch.zeros(2, 3), {"process": Flow(), "prediction": Prediction.FLOW}
    network = oracle_network(GaussianOracle(), Flow(), Prediction.FLOW)
    one, same, other = (
        latentry.sample(network, x, scheduler="euler-ancestral", steps=4, seed=seed, **where) for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert not torch.equal(one[0], one[1])  # each sample has its own noise


def test_the_signature_is_that_of_a_plan() -> None:
    plan, sample = (inspect.signature(each).parameters for each in (Scheduler.plan, latentry.sample))
    assert {"steps", "process", "prediction", "sigmas", "shift", "final"} <= plan.keys() & sample.keys()
