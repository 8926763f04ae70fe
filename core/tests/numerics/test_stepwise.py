"""The stepwise interface against the run that it is derived from; against diffusers see tests/parity."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from support.oracles import SD, Gaussian, emitted, finish, noise
from support.toys import First, Greedy, Halving, Heun, Late, Noisy, TwoStep
from torch import Tensor

from latentry import EDM, Flow, IncompatibleError, Interval, Noise, Prediction, Scheduler, Step, Stepwise, Trailing

STEPS = pytest.mark.parametrize("steps", [1, 2, 20])


def crooked(x: Tensor, timestep: Tensor | float) -> Tensor:
    """A network that is not linear."""
    return torch.sin(x * 1.7 + float(timestep) / 300) * 0.8


def loop(stepwise: Stepwise, x: Tensor, begin: int = 0) -> Tensor:
    """The loop of the field."""
    for timestep in stepwise.timesteps[begin:]:
        output = crooked(stepwise.scale_model_input(x, timestep), timestep)
        x = stepwise.step(output, timestep, x)
    return x


def run(stepwise: Stepwise, x: Tensor, begin: int = 0) -> Tensor:
    """The same with a run."""
    return finish(stepwise.plan[begin:].start(x), lambda query: crooked(query.input, query.timestep))


def test_the_defaults_are_stable_diffusions() -> None:
    built = First().build(20)
    assert len(built.timesteps) == len(built) == 20
    assert built.timesteps.tolist() == [1 + 50 * i for i in reversed(range(20))]
    assert built.timesteps.dtype == built.sigmas.dtype == torch.float32
    assert len(built.sigmas) == 21
    assert built.plan.process == SD
    assert built.plan.points[-1] == SD.cleanest
    assert built.init_noise_sigma == 1.0
    expected = [math.sqrt(1 - SD.alphas_cumprod[int(t)]) for t in [*built.timesteps.tolist(), 0]]
    assert built.sigmas.tolist() == pytest.approx(expected, rel=1e-6)


@STEPS
@pytest.mark.parametrize("scheduler", [First(), Heun(), TwoStep(), Late()], ids=repr)
def test_the_loop_is_the_run(scheduler: Scheduler, steps: int) -> None:
    built, x = scheduler.build(steps), noise(2, 3)
    assert len(built.timesteps) == built.plan.evaluations
    assert torch.equal(loop(built, x), run(built, x))


def test_a_two_stage_scheduler_has_a_timestep_for_each_evaluation() -> None:
    built = Heun().build(20)
    assert len(built.timesteps) == 40
    zero = Heun().build(20, final="zero")
    assert len(zero.timesteps) == 39
    assert zero.timesteps[:3].tolist() == [951, 901, 901]


def test_the_loop_can_be_gone_through_again() -> None:
    built, x = TwoStep().build(5), noise(2, 3)
    assert torch.equal(loop(built, x), loop(built, x))


@pytest.mark.parametrize("begin", [1, 7, 19])
@pytest.mark.parametrize("scheduler", [First(), TwoStep()], ids=repr)
def test_it_may_begin_mid_list(scheduler: Scheduler, begin: int) -> None:
    built, x = scheduler.build(20), noise(2, 3)
    assert torch.equal(loop(built, x, begin), run(built, x, begin))


def test_it_may_not_begin_inside_a_step() -> None:
    class Middle(Heun):
        def step(self, x: Tensor, interval: Interval, memory: Any, noise: Noise) -> Step:
            first = yield interval.start.query(x)
            middle = interval.at(lam=(interval.start.lam + interval.end.lam) / 2)
            second = yield middle.query(first.at(middle))
            return second.at(interval.end), memory

    built = Middle().build(5)
    with pytest.raises(ValueError, match="lies inside a step"):
        built.step(noise(1, 2), built.timesteps[1], noise(1, 2))


def test_timesteps_come_in_order() -> None:
    built, x = First().build(5), noise(1, 2)
    first, second, third, *_ = built.timesteps.tolist()
    x = built.step(x, first, x)
    for wrong in (first, third):
        with pytest.raises(ValueError, match=f"out of order: {second:g} comes next"):
            built.step(x, wrong, x)
    built.reset()
    built.step(x, third, x)


@pytest.mark.parametrize("wrong", [0.0, 950.0, 951.5, 1e6, math.nan])
def test_a_timestep_that_is_not_in_the_plan_is_refused(wrong: float) -> None:
    built = First().build(20)
    with pytest.raises(ValueError, match="not among this plan's timesteps"):
        built.step(noise(1, 2), wrong, noise(1, 2))
    with pytest.raises(ValueError, match="not among this plan's timesteps"):
        built.scale_model_input(noise(1, 2), wrong)


def test_timesteps_may_be_tensors_numbers_or_whole() -> None:
    built, x = First().build(2), noise(1, 2)
    expected = First().build(2).step(x, built.timesteps[0], x)
    for given in (501, 501.0, torch.tensor(501), torch.tensor([501.0]), torch.tensor(501, dtype=torch.int64)):
        built.reset()
        assert torch.equal(built.step(x, given, x), expected)


def test_fine_grids_of_small_times_are_distinguished() -> None:
    sigmas = [80.0 * 0.97**i for i in range(300)]
    built = First().build(300, process=EDM(), prediction=Prediction.EDM, sigmas=sigmas, final="zero")
    x = noise(2, 3)
    for begin in (0, 123, 299):
        assert torch.allclose(loop(built, x, begin), run(built, x, begin), rtol=1e-5, atol=1e-6)
        assert float(built.scale_model_input(torch.ones(1), built.timesteps[begin])) == pytest.approx(
            1 / math.hypot(sigmas[begin], 0.5), rel=1e-6
        )


@pytest.mark.parametrize("kind", ["vp", "flow", "edm"])
def test_scaling_the_input_is_purely_multiplicative(kind: str) -> None:
    process = {"vp": SD, "flow": Flow(), "edm": EDM()}[kind]
    built = First().build(2, process=process, prediction=Prediction.V, sigmas=(0.9, 0.3), final="zero")
    x = noise(2, 3)
    for timestep, point in zip(built.timesteps, built.plan.points, strict=False):
        assert torch.equal(built.scale_model_input(x, timestep), x * point.scale)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_the_caller_gets_the_dtype_that_it_gave(dtype: torch.dtype) -> None:
    built = First().build(3)
    assert loop(built, noise(1, 4).to(dtype)).dtype == dtype


def test_rounding_to_half_precision_does_not_add_up() -> None:
    built, x = First().build(20), noise(64).half()
    exact = finish(built.plan.start(x), lambda query: crooked(query.x.half(), query.timestep))
    assert torch.equal(loop(built, x), exact.half())


def test_a_sample_changed_between_steps_is_taken_over() -> None:
    built, x = TwoStep().build(4), noise(2, 3)
    blended = noise(2, 3, seed=5)
    first, second, *rest = built.timesteps
    x = built.step(crooked(x, first), first, x)
    found = built.step(crooked(blended, second), second, blended)
    for timestep in rest:
        found = built.step(crooked(found, timestep), timestep, found)
    again = built.plan.start(noise(2, 3))
    assert again.query is not None
    again.advance(crooked(again.query.x, again.query.timestep))
    again.replace(blended)
    assert torch.equal(found, finish(again, lambda query: crooked(query.x, query.timestep)))


def test_a_sample_changed_inside_a_step_is_refused() -> None:
    built, x = Heun().build(4), noise(2, 3)
    first, second, *_ = built.timesteps
    x = built.step(crooked(x, first), first, x)
    built.step(crooked(x, second), second, x.clone())  # a copy is no change
    built.reset()
    x = built.step(crooked(x, first), first, x)
    with pytest.raises(ValueError, match="between steps only"):
        built.step(crooked(x, second), second, x + 1)


def test_the_seed_keys_the_noise_and_a_generator_replaces_it() -> None:
    x = noise(1, 3)
    a, b, other = (loop(Late().build(3, seed=seed), x) for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, other)
    built, generator = Late().build(1), torch.Generator().manual_seed(4)
    for timestep in built.timesteps:
        x = built.step(crooked(x, timestep), timestep, x, generator=generator)
    drawn = torch.Generator().manual_seed(4)

    def source(like: Tensor, *_: Any) -> Tensor:
        return torch.randn(like.shape, generator=drawn).to(like)

    plan = built.plan.start(noise(1, 3), noise=source)
    assert torch.equal(x, finish(plan, lambda query: crooked(query.x, query.timestep)))


def test_added_noise_is_alpha_of_one_and_sigma_of_the_other() -> None:
    built, x0, eps = First().build(20), noise(2, 3), noise(2, 3, seed=1)
    for timestep in (951, 1, 501.0, 77.5):  # of the list or not
        point = SD.at(timestep=timestep)
        assert torch.allclose(built.add_noise(x0, eps, timestep), point.alpha * x0 + point.sigma * eps, rtol=1e-12)
    rows = built.add_noise(x0, eps, torch.tensor([951, 1]))
    assert torch.equal(rows[0], built.add_noise(x0, eps, 951)[0])
    assert torch.equal(rows[1], built.add_noise(x0, eps, 1)[1])
    assert torch.equal(built.add_noise(x0, eps, torch.tensor([501])), built.add_noise(x0, eps, 501))


def test_noise_added_at_a_timestep_is_taken_off_again_by_the_truth() -> None:
    built, x0 = First().build(20, final="zero"), noise(2, 3)
    eps = noise(2, 3, seed=1)
    for begin in (0, 5, 19):
        x = built.add_noise(x0, eps, built.timesteps[begin])
        for timestep in built.timesteps[begin:]:
            level = SD.at(timestep=float(timestep))
            x = built.step(emitted(Prediction.EPSILON, level, x0, eps), timestep, x)
        assert torch.allclose(x, x0, rtol=1e-9, atol=1e-9)


def test_schedulers_that_cannot_be_used_so_say_why() -> None:
    for scheduler, why in ((Halving(), "chooses its own steps"), (Greedy(), "needs uncond")):
        with pytest.raises(IncompatibleError, match="cannot be used step by step") as caught:
            scheduler.build(4)
        assert why in caught.value.why


def test_a_scheduler_that_changes_the_sample_first_cannot_be_used_so() -> None:
    built = Noisy().build(4)
    with pytest.raises(IncompatibleError, match="cannot be used step by step with these options"):
        built.step(noise(1, 2), built.timesteps[0], noise(1, 2))


def test_a_scheduler_that_raises_the_level_first_cannot_be_used_so() -> None:
    class Churning(First):
        def step(self, x: Tensor, interval: Interval, memory: Any, noise: Noise) -> Step:
            raised = interval.at(lam=interval.start.lam - 0.1)
            denoised = yield raised.query(x)
            return denoised.at(interval.end), memory

    with pytest.raises(IncompatibleError, match="cannot be used step by step with these options"):
        Churning().build(4)


def test_the_plan_behind_it_can_be_any() -> None:
    built = First().build(4, process=Flow(), prediction=Prediction.FLOW, sigmas=(1.0, 0.7, 0.4, 0.2), final="zero")
    assert built.timesteps.tolist() == pytest.approx([1000, 700, 400, 200])
    assert built.sigmas.tolist() == pytest.approx([1.0, 0.7, 0.4, 0.2, 0.0])
    trailing = First().build(4, prediction=Prediction.V, sigmas=Trailing())
    network = Gaussian().network(Prediction.V)
    assert trailing.timesteps.tolist() == [999, 749, 499, 249]
    x = noise(2, 3)
    by_hand = x
    for query, timestep in zip(trailing.plan.queries or (), trailing.timesteps, strict=True):
        by_hand = trailing.step(network(query.point.query(by_hand)), timestep, by_hand)
    assert torch.equal(by_hand, finish(trailing.plan.start(x), network))
