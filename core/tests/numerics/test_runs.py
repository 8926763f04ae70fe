"""Runs: stopping and going on at any evaluation, what may be put in, and what is left alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.oracles import PROCESSES, SD, Gaussian, Network, finish, noise
from support.toys import First, Greedy, Halving, Heun, Noisy, TwoStep
from torch import Tensor

from latentry import Flow, IncompatibleError, Plan, Prediction, Query, Run, RunState, Scheduler

LEVELS = (14.0, 5.0, 1.0, 0.3)
SCHEDULERS = pytest.mark.parametrize("scheduler", [First(), Heun(), TwoStep(), Noisy(), Halving()], ids=repr)


def plan(scheduler: Scheduler, prediction: Prediction = Prediction.V) -> Plan:
    """Four steps on Stable Diffusion's process."""
    return scheduler.plan(process=SD, prediction=prediction, sigmas=LEVELS)


def begin(scheduler: Scheduler) -> Tensor:
    """A batch of two; of one for an adaptive scheduler."""
    return noise(1 if scheduler.adaptive else 2, 3)


def crooked(query: Query) -> Tensor:
    """A network that is not linear, so that every input shows in the result."""
    return torch.sin(query.x * 1.7 + query.timestep / 300) * 0.8


@SCHEDULERS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_run_saved_at_any_evaluation_goes_on_bit_for_bit(
    scheduler: Scheduler, dtype: torch.dtype, tmp_path: Path
) -> None:
    whole, x, file = plan(scheduler), begin(scheduler).to(dtype), tmp_path / "run.safetensors"
    expected = finish(whole.start(x, seed=3), crooked)
    run, moments = whole.start(x, seed=3), 0
    while run.query is not None:
        run.state().save(file)
        assert torch.equal(finish(whole.resume(RunState.load(file), seed=3), crooked), expected)
        run.advance(crooked(run.query))
        moments += 1
    run.state().save(file)
    resumed = whole.resume(RunState.load(file), seed=3)
    assert resumed.done
    assert torch.equal(resumed.sample, expected)
    assert moments >= 4


def test_a_run_is_saved_before_its_first_query_too() -> None:
    whole, x = plan(Heun()), noise(2, 3)
    state = whole.start(x).state()
    assert torch.equal(finish(whole.resume(state), crooked), finish(whole.start(x), crooked))


def test_a_state_can_be_used_twice_and_does_not_change_with_the_run() -> None:
    whole, run = plan(TwoStep()), plan(TwoStep()).start(noise(2, 3))
    assert run.query is not None
    run.advance(crooked(run.query))
    state = run.state()
    expected = finish(run, crooked)
    assert torch.equal(finish(whole.resume(state), crooked), expected)
    assert torch.equal(finish(whole.resume(state), crooked), expected)


def test_a_saved_half_step_keeps_its_own_copy_of_the_answers() -> None:
    whole, buffer = plan(Heun()), torch.zeros(2, 3, dtype=torch.float64)
    run = whole.start(noise(2, 3))
    assert run.query is not None
    buffer.copy_(crooked(run.query))
    run.advance(buffer)
    state = run.state()
    other = finish(plan(Heun()).start(noise(2, 3)), crooked)
    buffer.fill_(99.0)
    assert torch.equal(finish(whole.resume(state), crooked), other)


def test_unguided_and_made_up_answers_are_saved_too() -> None:
    class Two(Greedy):
        def step(self, x: Tensor, interval: Any, memory: Any, noise: Any) -> Any:
            first = yield interval.start.query(x)
            second = yield interval.start.query(x)
            assert first.uncond is not None
            return first.uncond.at(interval.end) + second.x0 * (2.0 if first.real else 3.0), memory

    run = plan(Two()).start(noise(1, 3))
    assert run.query is not None
    run.advance(crooked(run.query), uncond=run.query.x * 0.3, real=False)
    again = plan(Two()).resume(run.state())
    for each in (run, again):
        assert each.query is not None
        each.advance(crooked(each.query), uncond=each.query.x)
    assert torch.equal(run.sample, again.sample)


@pytest.mark.parametrize(
    "other",
    [plan(Heun()), plan(TwoStep(), Prediction.EPSILON), plan(TwoStep())[1:], plan(TwoStep()).reversed()],
    ids=["scheduler", "prediction", "slice", "reversed"],
)
def test_a_state_of_another_plan_is_refused(other: Plan) -> None:
    with pytest.raises(IncompatibleError, match="belongs to another plan"):
        other.resume(plan(TwoStep()).start(noise(1, 2)).state())


def test_a_file_that_is_not_a_saved_run_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(IncompatibleError, match="not a saved run"):
        RunState.load(tmp_path / "other.safetensors")


def test_what_cannot_be_saved_without_pickle_is_refused() -> None:
    with pytest.raises(TypeError, match="not set"):
        RunState.pack("plan", 0, SD.clean(), {1, 2})


@SCHEDULERS
def test_the_same_seed_gives_the_same_bits(scheduler: Scheduler) -> None:
    whole, x = plan(scheduler), begin(scheduler)
    assert torch.equal(finish(whole.start(x, seed=8), crooked), finish(whole.start(x, seed=8), crooked))


@pytest.mark.parametrize("scheduler", [Noisy(), Halving()], ids=repr)
def test_another_seed_or_sample_gives_others(scheduler: Scheduler) -> None:
    whole, x = plan(scheduler), noise(1, 3)
    results = [
        finish(whole.start(x, seed=seed, samples=(sample,)), crooked) for seed, sample in ((0, 0), (1, 0), (0, 1))
    ]
    assert not torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize("scheduler", [First(), Heun(), TwoStep(), Noisy()], ids=repr)
def test_a_sample_does_not_depend_on_its_batch(scheduler: Scheduler) -> None:
    whole, x = plan(scheduler), noise(3, 4)
    together = finish(whole.start(x, seed=2), crooked)
    for i in range(3):
        alone = finish(whole.start(x[i : i + 1], seed=2, samples=(i,)), crooked)
        assert torch.equal(alone[0], together[i])


def test_an_adaptive_scheduler_takes_one_sample_at_a_time() -> None:
    """It would choose the steps of all by the errors of all."""
    whole, x = plan(Halving()), noise(2, 3)
    with pytest.raises(IncompatibleError, match="Halving takes one sample at a time, and this batch has 2") as caught:
        whole.start(x)
    assert "samples=[i]" in caught.value.remedy
    first, second = (finish(whole.start(x[i : i + 1], samples=[i]), crooked) for i in range(2))
    assert first.shape == second.shape == (1, 3)


def test_an_adaptive_step_draws_new_noise_each_time_within_an_interval() -> None:
    asked: list[tuple[int, int]] = []

    def source(like: Tensor, interval: int, draw: int, clock: Any) -> Tensor:
        asked.append((interval, draw))
        return torch.zeros_like(like)

    finish(plan(Halving()).start(noise(1, 2), noise=source), crooked)
    assert len(asked) > len(LEVELS)
    assert len(set(asked)) == len(asked)
    assert all((interval, draw - 1) in asked for interval, draw in asked if draw)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
@SCHEDULERS
def test_latents_are_at_least_float32(scheduler: Scheduler, given: torch.dtype, kept: torch.dtype) -> None:
    run = plan(scheduler).start(noise(1, 3).to(given))
    while run.query is not None:
        assert run.query.x.dtype == kept
        run.advance(crooked(run.query).to(given))
    assert run.sample.dtype == kept


@SCHEDULERS
@pytest.mark.parametrize("name", PROCESSES)
def test_nothing_is_written_in_place(scheduler: Scheduler, name: str) -> None:
    process, prediction = PROCESSES[name]
    levels = (0.9, 0.5, 0.2) if isinstance(process, Flow) else LEVELS
    run = scheduler.plan(process=process, prediction=prediction, sigmas=levels).start(begin(scheduler))
    network = Gaussian().network(prediction, process.data_std)
    held: list[tuple[Tensor, Tensor]] = [(run.sample, run.sample.clone())]
    while run.query is not None:
        query, output = run.query, network(run.query)
        held += [(query.x, query.x.clone()), (output, output.clone())]
        held += [(t, t.clone()) for t in _tensors(run.state().tensors.values())]
        run.advance(output)
        held.append((run.sample, run.sample.clone()))
    assert all(torch.equal(tensor, copy) for tensor, copy in held)


def _tensors(values: Any) -> list[Tensor]:
    return [value for value in values if isinstance(value, Tensor)]


@SCHEDULERS
@pytest.mark.parametrize("name", PROCESSES)
def test_a_step_never_waits_for_the_device(scheduler: Scheduler, name: str) -> None:
    process, prediction = PROCESSES[name]
    levels = (0.9, 0.5, 0.2) if isinstance(process, Flow) else LEVELS

    def meta(like: Tensor, interval: int, draw: int, clock: Any) -> Tensor:
        return torch.empty_like(like)

    run = scheduler.plan(process=process, prediction=prediction, sigmas=levels).start(
        torch.empty_like(begin(scheduler), device="meta"), noise=meta
    )
    result = finish(run, lambda query: torch.empty_like(query.input))
    assert result.is_meta
    assert result.shape == begin(scheduler).shape


def test_the_sample_can_be_replaced_until_the_step_is_opened() -> None:
    whole, other = plan(First()), noise(2, 3, seed=4)
    run = whole.start(noise(2, 3))
    run.replace(other)
    assert torch.equal(finish(run, crooked), finish(whole.start(other), crooked))
    run = whole.start(other)
    assert run.query is not None
    with pytest.raises(RuntimeError, match="before the step's query"):
        run.replace(other)


def test_a_replacement_takes_the_runs_dtype_and_has_to_have_its_shape() -> None:
    run = plan(First()).start(noise(2, 3))
    run.replace(noise(2, 3).half())
    assert run.sample.dtype == torch.float64
    with pytest.raises(ValueError, match=r"shape \(2, 3\), not \(1, 3\)"):
        run.replace(noise(1, 3))


def test_an_opened_step_can_be_reopened_until_it_is_answered() -> None:
    whole, other = plan(Heun()), noise(2, 3, seed=4)
    run = whole.start(noise(2, 3))
    assert run.query is not None
    run.reopen(other)
    assert run.query is not None
    assert torch.equal(run.query.x, other)
    run.advance(crooked(run.query))
    with pytest.raises(RuntimeError, match="answered already"):
        run.reopen(other)


def test_a_reopened_step_draws_the_same_noise() -> None:
    whole, x = plan(Noisy()), noise(2, 3)
    run = whole.start(x, seed=1)
    assert run.query is not None
    run.reopen(x)
    assert torch.equal(finish(run, crooked), finish(whole.start(x, seed=1), crooked))


def test_a_half_step_cannot_be_replaced() -> None:
    run = plan(Heun()).start(noise(1, 3))
    assert run.query is not None
    run.advance(crooked(run.query))
    assert run.query.stage == 1
    for put in (run.replace, run.reopen):
        with pytest.raises(RuntimeError):
            put(noise(1, 3))


def test_blending_between_steps_is_seen_by_the_next_query() -> None:
    run = plan(First()).start(noise(2, 3))
    assert run.query is not None
    run.advance(crooked(run.query))
    run.replace(run.sample * 0)
    assert run.query is not None
    assert float(run.query.x.abs().max()) == 0.0


def test_a_scheduler_that_needs_the_unguided_output_says_so() -> None:
    run = plan(Greedy()).start(noise(1, 3))
    assert run.query is not None
    with pytest.raises(ValueError, match="Greedy needs the unguided output"):
        run.advance(run.query.x)


def test_a_finished_run_has_nothing_to_answer() -> None:
    run = plan(First()).start(noise(1, 3))
    finish(run, crooked)
    assert run.query is None
    for answer in (run.advance, run.denoise):
        with pytest.raises(RuntimeError, match="asks for nothing more"):
            answer(noise(1, 3))


def test_asking_twice_opens_the_step_once() -> None:
    opened = []

    class Counted(First):
        def step(self, x: Any, interval: Any, memory: Any, noise: Any) -> Any:
            opened.append(1)
            return super().step(x, interval, memory, noise)

    run = plan(Counted()).start(noise(1, 3), table=False)
    assert run.query is run.query
    assert opened == [1]


def test_a_preview_is_what_the_solver_will_see_and_changes_nothing() -> None:
    oracle = Gaussian()
    network = oracle.network(Prediction.V)
    run = plan(First()).start(noise(2, 3))
    assert run.query is not None
    preview = run.denoise(network(run.query)).x0
    assert torch.allclose(preview, oracle.x0(run.query.x, run.query.point), rtol=1e-12)
    assert run.index == 0
    assert torch.equal(finish(run, network), finish(plan(First()).start(noise(2, 3)), network))


@pytest.mark.parametrize("make", [First, Heun, TwoStep], ids=lambda make: make.__name__)
def test_runs_of_one_plan_in_two_threads_do_not_meet(make: Callable[[], Scheduler]) -> None:
    whole = plan(make())
    starts = [noise(2, 3, seed=seed) for seed in range(4)]
    found: dict[int, Tensor] = {}

    def work(i: int) -> None:
        found[i] = finish(whole.start(starts[i]), crooked)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(found[i], finish(whole.start(starts[i]), crooked)) for i in range(4))


def test_runs_with_different_schedulers_and_steps_share_forward_passes() -> None:
    """The host decides who is evaluated with whom: here whoever is waiting, in one batch."""
    network: Network = Gaussian().network(Prediction.V)
    plans = [plan(First()), plan(Heun()), plan(TwoStep())[1:], plan(Noisy())]
    starts = [noise(1, 5, seed=i) for i in range(len(plans))]
    runs = [each.start(x) for each, x in zip(plans, starts, strict=True)]
    while waiting := [run for run in runs if not run.done]:
        queries = [run.query for run in waiting]
        outputs = torch.cat([network(query) for query in queries if query is not None])
        for run, output in zip(waiting, outputs.split(1), strict=True):
            run.advance(output)
    for run, each, x in zip(runs, plans, starts, strict=True):
        assert torch.equal(run.sample, finish(each.start(x), network))


def test_runs_are_what_start_gives() -> None:
    assert isinstance(plan(First()).start(noise(1, 2)), Run)
