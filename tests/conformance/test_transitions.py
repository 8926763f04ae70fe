"""Transitions of every stochastic scheduler on every process: the Gaussian of each step, found by unit vectors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from latentry import IncompatibleError, KeyedNoise, Plan, PluginHost, Prediction, Run, Scheduler
from latentry.tables import Transition
from latentry.testing import Subject
from latentry.testing._networks._processes import NATURAL, process

HOST = PluginHost()
SHAPE = (2, 3)
SEED = 7
"""Of outputs under which the guard acts in each case that needs it to."""


def stochastic() -> Iterator[Any]:
    for name in HOST.schedulers:
        subject = Subject.of(name, host=HOST)
        for case in subject.cases:
            if case.stochastic and not subject.spec.adaptive:
                for kind in sorted(subject.spec.processes):
                    yield pytest.param(case.scheduler, kind, id=f"{name}-{case.label}-{kind}")


def planned(scheduler: Scheduler, kind: Any) -> Plan:
    """Five steps from the noisiest level, pure noise on flow, to σ = 0; noise windows open and close on the way."""
    on = process(kind)
    inner = (on.at(s=s) for s in (8.0, 3.0, 1.1, 0.4))
    return Plan(scheduler, on, NATURAL[on.kind], (on.noisiest, *inner, on.clean()))


class Chosen:
    """Noise that is 0 but for some draws."""

    def __init__(self, values: Mapping[tuple[int, int], Tensor]) -> None:
        self.values, self.asked = values, set[tuple[int, int]]()

    def __call__(self, like: Tensor, interval: int, draw: int, clock: Any) -> Tensor:
        self.asked.add((interval, draw))
        return self.values.get((interval, draw), torch.zeros_like(like))


def outputs(seed: int) -> Iterator[Tensor]:
    """What the network gives, whatever it is shown."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.randn(SHAPE, generator=generator, dtype=torch.float64)


def step(run: Run, given: Iterator[Tensor]) -> list[Tensor]:
    """Takes one step; the samples that were shown."""
    index, shown = run.index, []
    while not run.done and run.index == index and (query := run.query) is not None:
        shown.append(query.x)
        output = next(given)
        run.advance(output, uncond=0.5 * output)
    return shown


@pytest.mark.parametrize(("scheduler", "kind"), list(stochastic()))
def test_mean_and_spread_are_what_unit_draws_show(scheduler: Scheduler, kind: str) -> None:
    """With the outputs given, each sample is its mean plus Σ c_j·z_j; the generators show the c_j one by one.

    What was drawn before a sample that the network was shown is known from then on, and part of the mean: there it is
    as it was drawn, since a guard's part in the step depends on it.
    """
    plan = planned(scheduler, kind)
    given = list(itertools.islice(outputs(SEED), 400))
    run = plan.start(next(outputs(1)), seed=2)
    keyed, at, noisy = KeyedNoise(2, (0, 1)), 0, 0
    while not run.done:
        state, index = run.state(), run.index
        shown = step(run, iter(given[at:]))
        found = run.transition
        assert found is not None
        assert torch.equal(found.sample, run.sample)

        def drawing(values: Mapping[int, Tensor], state: Any = state, at: int = at) -> tuple[list[Tensor], list[int]]:
            noise = Chosen({(state.index, draw): value for draw, value in values.items()})
            again = plan.resume(state, noise=noise, table=False)
            asked = step(again, iter(given[at:]))
            return [*asked, again.sample], sorted(draw for interval, draw in noise.asked if interval == state.index)

        still, draws = drawing({})
        z = {draw: keyed(run.sample, index, draw) for draw in draws}
        one = torch.ones_like(run.sample)
        first = {draw: _first(drawing({draw: one})[0], still) for draw in draws}
        last = len(shown)
        places = sorted({place for place in first.values() if place < last} | {last})
        for got, place in zip((*found.earlier, found), places, strict=True):
            known = {draw: z[draw] for draw in draws if first[draw] < place}
            mean = drawing(known)[0][place]
            shares = {draw: drawing({**known, draw: one})[0][place] - mean for draw in draws if first[draw] == place}
            variance = sum((share.square() for share in shares.values()), torch.zeros(SHAPE))
            assert got.std == pytest.approx(float(variance[0, 0].sqrt()), rel=1e-9, abs=1e-12)
            assert torch.allclose(variance, variance[:1, :1].expand(SHAPE).to(variance), rtol=1e-9)
            assert torch.allclose(got.mean, mean, rtol=1e-8, atol=1e-10 * float(mean.abs().max()))
            assert torch.equal(got.sample, [*shown, run.sample][place])
            added = sum((share * z[draw] for draw, share in shares.items()), torch.zeros(SHAPE))
            assert torch.allclose(got.sample, mean + added, rtol=1e-8, atol=1e-10 * float(mean.abs().max()))
        noisy += found.std > 0.0 or bool(found.earlier)
        at += len(shown)
    assert noisy >= 1


def _first(drawn: list[Tensor], still: list[Tensor]) -> int:
    """The first sample of the step that a draw shows in; past the last if it shows in none."""
    shows = (i for i, (a, b) in enumerate(zip(drawn, still, strict=True)) if not torch.equal(a, b))
    return next(shows, len(still))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("heun", {"churn": 4.0, "churn_max": 1.5}),
        ("dpm2", {"churn": 4.0, "churn_max": 1.5}),
        ("dpmpp-sde", {}),
        ("restart", {"restart_min": 1.0, "restart_max": 1.5, "restart_steps": 16}),
        ("seeds-2", {}),
        ("seeds-3", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_guard_takes_part_in_the_cases_above(name: str, options: dict[str, Any]) -> None:
    """It acts on noise that the network was shown, which tells the mean above from a linear one."""
    ends = []
    for guard in (True, False):
        plan, given = planned(HOST.schedulers.create(name, guard=guard, **options), "vp"), outputs(SEED)
        run = plan.start(next(outputs(1)))
        while not run.done:
            step(run, given)
        ends.append(run.sample)
    assert not torch.allclose(ends[0], ends[1], rtol=1e-3)


@pytest.mark.parametrize("name", ["ddim", "ddpm", "euler-ancestral"])
@pytest.mark.parametrize("kind", ["vp", "flow", "edm"])
def test_full_noise_is_the_posterior_in_closed_form(name: str, kind: str) -> None:
    """q(x_end | x_start, x₀) of a Gaussian process, from the product of q(x_start | x_end) and q(x_end | x₀)."""
    scheduler = HOST.schedulers.create(name, **({"eta": 1.0} if name == "ddim" else {}))
    plan, given = planned(scheduler, kind), outputs(5)
    run = plan.start(next(outputs(1)), seed=2)
    for start, end in list(itertools.pairwise(plan.points))[:-1]:
        query = run.query
        assert query is not None
        output, x = next(given), query.x
        x0 = run.denoise(output).x0
        run.advance(output)
        # x_start = a·x_end + b·ε, and x_end = α·x₀ + σ·ε: precisions add up
        a = start.alpha / end.alpha
        b2 = start.sigma**2 - (a * end.sigma) ** 2
        precision = a * a / b2 + 1.0 / end.sigma**2
        mean = (a * x / b2 + end.alpha * x0 / end.sigma**2) / precision
        found = run.transition
        assert isinstance(found, Transition)
        assert found.std == pytest.approx(precision**-0.5, rel=1e-9)
        assert torch.allclose(found.mean, mean, rtol=1e-8, atol=1e-10)


def test_the_density_is_that_of_torch_and_gradients_reach_the_outputs() -> None:
    plan = planned(HOST.schedulers.create("sa-solver"), "vp")
    weight = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)
    run = plan.start(next(outputs(1)), seed=2)
    total, wanted = torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    while (query := run.query) is not None:
        run.advance(torch.tanh(query.x.detach() * weight))
        found = run.transition
        assert found is not None
        if found.std > 0.0:
            taken = run.sample.detach()
            total = total + found.log_prob(taken)
            wanted = wanted + torch.distributions.Normal(found.mean, found.std).log_prob(taken).sum(1)
        run.replace(run.sample.detach())
    assert torch.allclose(total, wanted, rtol=1e-12)
    (got,), (expected,) = (torch.autograd.grad(value.sum(), weight, retain_graph=True) for value in (total, wanted))
    assert float(got.abs()) > 0.0
    assert torch.allclose(got, expected, rtol=1e-10)


def test_a_density_seen_from_a_saved_state_is_that_of_the_run() -> None:
    """Policy gradients score a step again later, with another network."""
    plan = planned(HOST.schedulers.create("dpmpp-2m-sde"), "flow")
    run, given = plan.start(next(outputs(1)), seed=2), list(itertools.islice(outputs(4), 5))
    for output in given[:-1]:
        state = run.state()
        assert run.query is not None
        run.advance(output)
        again = plan.resume(state, seed=99)
        assert again.transition is None
        assert again.query is not None
        again.advance(output)
        first, second = run.transition, again.transition
        assert first is not None
        assert second is not None
        assert torch.equal(first.log_prob(run.sample), second.log_prob(run.sample))
        assert not torch.equal(run.sample, again.sample)


def test_steps_without_noise_have_no_density() -> None:
    run = planned(HOST.schedulers.create("ddim"), "vp").start(next(outputs(1)))
    assert run.transition is None
    step(run, outputs(2))
    found = run.transition
    assert found is not None
    assert found.std == 0.0
    assert torch.equal(found.mean, run.sample)
    with pytest.raises(IncompatibleError, match="adds no noise"):
        found.log_prob(run.sample)


def test_runs_off_the_table_say_why_there_is_no_transition() -> None:
    threshold = HOST.schedulers.create("unipc", threshold=0.9)
    plan = threshold.plan(process=process("vp"), prediction=Prediction.V, sigmas=(5.0, 1.0))
    run = plan.start(next(outputs(1)))
    step(run, outputs(2))
    with pytest.raises(IncompatibleError, match="'flatten'"):
        _ = run.transition
    assert math.isfinite(float(run.sample.abs().max()))
