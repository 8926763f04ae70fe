"""Plans as tables: what they hold, and that a run which walks one does what the generators do."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch
from support.oracles import PROCESSES, SD, noise
from support.toys import First, Greedy, Guarded, Halving, Heun, Late, Noisy, TwoStep
from torch import Tensor

from latentry import (
    History,
    Interval,
    Noise,
    NoMemory,
    Plan,
    PluginError,
    Prediction,
    Process,
    Query,
    Run,
    Scheduler,
    Step,
)
from latentry._numerics._table._compile import segments
from latentry._numerics._table._fuse import fused
from latentry._numerics._table._table import TableStep, Term
from latentry.solvers import DynamicThreshold, combine
from latentry.tables import Combine, Draw, Evaluate, Guard, NoTable, Table

LEVELS = (14.0, 5.0, 1.0, 0.3)
LINEAR = [First, Heun, TwoStep, Noisy, Late, Greedy, Guarded]


def plan(scheduler: Scheduler, prediction: Prediction = Prediction.V, process: Process = SD) -> Plan:
    """Four steps."""
    return scheduler.plan(process=process, prediction=prediction, sigmas=LEVELS)


def crooked(query: Query) -> Tensor:
    """A network that is not linear, so that every input shows in the result."""
    return torch.sin(query.input * 1.7 + query.timestep / 300) * 0.8


def table_of(whole: Plan) -> Table:
    found = whole.table()
    assert isinstance(found, Table)
    return found


def answer(run: Run, *, real: bool = True) -> None:
    query = run.query
    assert query is not None
    run.advance(crooked(query), uncond=crooked(query) * 0.9, real=real)


def finish(run: Run) -> Tensor:
    while run.query is not None:
        answer(run)
    return run.sample


def both(whole: Plan, x: Tensor) -> tuple[Run, Run]:
    """A run that walks the table, and one of the generators."""
    table_of(whole)
    return whole.start(x, seed=3), whole.start(x, seed=3, table=False)


def terms(table: Table) -> int:
    combinations = (operation for step in table.steps for operation in step.operations)
    return sum(len(operation.terms) for operation in combinations if isinstance(operation, Combine))


@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("make", LINEAR, ids=lambda make: make.__name__)
def test_fused_steps_have_no_more_terms_and_differ_by_rounding(make: Callable[[], Scheduler], name: str) -> None:
    process, prediction = PROCESSES[name]
    levels = (*LEVELS,) if process.kind != "flow" else (1.0, 0.8, 0.4, 0.1)
    whole = make().plan(process=process, prediction=prediction, sigmas=levels)
    fused = whole.table(fused=True)
    assert isinstance(fused, Table)
    assert terms(fused) <= terms(table_of(whole))
    assert [e.point for e in fused.evaluations] == [e.point for e in table_of(whole).evaluations]
    x, states = noise(2, 3), []
    run, generated = whole.start(x, seed=3, table="fused"), whole.start(x, seed=3, table=False)
    while run.query is not None:
        answer(run)
        states.append(run.state())
        answer(generated)
    size = float(x.abs().max())
    assert torch.allclose(run.sample, generated.sample, rtol=0.0, atol=1e-12 * size)
    for state in states:  # the generators take over, with the same memory
        assert torch.allclose(finish(whole.resume(state, seed=3, table=False)), run.sample, rtol=0.0, atol=1e-11 * size)


def test_fusing_puts_a_two_stage_step_into_five_terms() -> None:
    """Heun's: x and ε to the guess; the guess, which needs no multiplication, and both ε to the end."""
    fused = plan(Heun(), Prediction.EPSILON).table(fused=True)
    assert isinstance(fused, Table)
    (first, second) = (operation for operation in fused.steps[0].operations if isinstance(operation, Combine))
    assert [len(first.terms), len(second.terms)] == [2, 3]
    start, end = plan(Heun()).points[:2]
    half = 0.5 * end.alpha * (end.s - start.s)
    wanted = {"x0": end.alpha / start.alpha, "out0.0": half, "out0.1": half}
    assert second.terms[0] == (1.0, first.into)
    total = dict.fromkeys(wanted, 0.0)
    for share, name in (*first.terms, *second.terms[1:]):
        total[name] += share
    assert total == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("make", LINEAR, ids=lambda make: make.__name__)
def test_a_run_on_the_table_gives_the_bits_of_the_generators(
    make: Callable[[], Scheduler], name: str, dtype: torch.dtype
) -> None:
    process, prediction = PROCESSES[name]
    levels = (*LEVELS,) if process.kind != "flow" else (1.0, 0.8, 0.4, 0.1)
    whole = make().plan(process=process, prediction=prediction, sigmas=levels)
    walked, generated = both(whole, noise(2, 3).to(dtype))
    while (query := walked.query) is not None:
        wanted = generated.query
        assert wanted is not None
        assert torch.equal(query.x, wanted.x)
        assert replace(query, x=wanted.x) == wanted
        answer(walked)
        answer(generated)
        assert torch.equal(walked.sample, generated.sample)
    assert generated.query is None
    assert walked.sample.dtype == dtype


def counting(make: type[Scheduler], calls: list[int]) -> Scheduler:
    class Counted(make):  # type: ignore[misc, valid-type]
        def step(self, x: Any, interval: Any, memory: Any, noise: Any) -> Any:
            calls.append(1)
            return super().step(x, interval, memory, noise)

    return Counted()


def test_the_generators_run_once_for_any_number_of_runs() -> None:
    calls: list[int] = []
    whole = plan(counting(Heun, calls))
    for seed in range(3):
        finish(whole.start(noise(2, 3), seed=seed))
    assert len(calls) == 4
    assert len(whole.queries or ()) == 7
    assert len(calls) == 4


def test_the_table_of_the_first_order_step_in_closed_form() -> None:
    whole = plan(First(), Prediction.EPSILON)
    table = table_of(whole)
    assert [step.index for step in table.steps] == [0, 1, 2, 3]
    for step, (start, end) in zip(table.steps[:-1], itertools.pairwise(whole.points), strict=False):
        asked, made = step.operations
        assert asked == Evaluate(f"out{step.index}.0", step.sample, start, start.timestep)
        assert isinstance(made, Combine)
        terms = {term.tensor: term.coefficient for term in made.terms}
        # x_end = α_end·(x − σ·ε)/α + σ_end·ε
        ratio = end.alpha / start.alpha
        wanted = {step.sample: ratio, asked.into: end.sigma - ratio * start.sigma}
        assert terms == pytest.approx(wanted, rel=1e-12)
        assert step.result == made.into


def test_names_are_made_once_used_after_that_and_dropped_when_nothing_needs_them() -> None:
    for make in LINEAR:
        known: set[str] = set()
        for step in table_of(plan(make())).steps:
            assert step.sample not in known
            known.add(step.sample)
            for operation in step.operations:
                reads = [t.tensor for t in operation.terms] if isinstance(operation, Combine) else []
                reads += [operation.x] if isinstance(operation, Evaluate) else []
                reads += [operation.first, operation.full, operation.denoised] if isinstance(operation, Guard) else []
                assert known.issuperset(reads)
                assert operation.into not in known
                known.add(operation.into)
                if isinstance(operation, Evaluate) and operation.uncond:
                    known.add(operation.uncond)
            assert known.issuperset([step.result, *step.drop])
            known -= set(step.drop)
        assert known == set()


def test_nothing_is_computed_that_no_sample_or_query_needs() -> None:
    """The last x₀ that the memory keeps is of no use to a table, and of use to a saved run."""
    table = table_of(plan(TwoStep(), Prediction.EPSILON))
    used = {t.tensor for s in table.steps for o in s.operations if isinstance(o, Combine) for t in o.terms}
    used |= {o.x for o in table.evaluations} | {step.result for step in table.steps}
    assert {o.into for s in table.steps for o in s.operations if isinstance(o, Combine)} <= used


def test_draws_carry_their_number_and_their_clock() -> None:
    first = table_of(plan(Late())).steps[0]
    drawn = [operation for operation in first.operations if isinstance(operation, Draw)]
    assert [(draw.number, draw.clock) for draw in drawn] == [(0, (0.0, 0.5)), (1, (0.5, 1.0))]
    assert table_of(plan(Late())).stochastic
    assert not table_of(plan(Heun())).stochastic


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kept", [frozenset({"g"}), frozenset()], ids=["kept", "inner"])
def test_a_sum_that_holds_a_kept_one_is_fused_to_the_same_sum(kept: frozenset[str], seed: int) -> None:
    drawn = torch.Generator().manual_seed(seed)
    values = dict(
        zip(("x", "m0", "m1", "out"), torch.randn(4, generator=drawn, dtype=torch.float64).tolist(), strict=True)
    )
    older = (Term(0.3, "x"), Term(0.7, "m0"))
    # g for x and m0 as well would take fewer terms, but must not lose the half of g that is there already
    operations = (
        Combine("g", (*older, Term(1.3, "m1"))),
        Combine("r", (*older, Term(0.5, "g"), Term(2.1, "out"))),
    )
    step = fused(TableStep(0, "x", operations, "r"), kept)
    plain, fewest = (summed(each, values) for each in (operations, step.operations))
    assert all(fewest[name] == pytest.approx(plain[name], rel=1e-12, abs=1e-12) for name in ("r", *kept))


def summed(operations: tuple[Any, ...], values: dict[str, float]) -> dict[str, float]:
    known = dict(values)
    for operation in operations:
        known[operation.into] = sum(term.coefficient * known[term.tensor] for term in operation.terms)
    return known


def test_empty_intervals_have_no_step() -> None:
    whole = First().plan(process=SD, prediction=Prediction.V, sigmas=(5.0, 5.0, 1.0))
    assert [step.index for step in table_of(whole).steps] == [1, 2]
    walked, generated = both(whole, noise(1, 3))
    assert torch.equal(finish(walked), finish(generated))


@pytest.mark.parametrize("make", [TwoStep, Noisy], ids=lambda make: make.__name__)
@pytest.mark.parametrize("made_up", range(7))
def test_a_made_up_answer_is_taken_as_by_the_generators(make: Callable[[], Scheduler], made_up: int) -> None:
    walked, generated = both(plan(make()), noise(2, 3))
    for number in range(20):
        if walked.query is None:
            break
        for run in (walked, generated):
            answer(run, real=number != made_up)
        assert walked.state().tree == generated.state().tree
    assert torch.equal(walked.sample, generated.sample)


def test_a_run_goes_on_from_a_memory_that_the_table_does_not_know() -> None:
    """One evaluation was made up, so that the history is another one than the table's."""
    whole = plan(TwoStep())
    run = whole.start(noise(2, 3), seed=3)
    answer(run)
    answer(run, real=False)
    state = run.state()
    assert torch.equal(finish(whole.resume(state, seed=3)), finish(run))
    # and one that never began: a run in the middle of a list
    assert torch.equal(finish(Run(whole, noise(2, 3), _none, index=2)), finish(_generated(whole, 2)))


def _none(like: Tensor, interval: int, draw: int, clock: Any) -> Tensor:
    raise AssertionError("nothing draws here")


def _generated(whole: Plan, index: int) -> Run:
    return Run(whole, noise(2, 3), _none, index=index, table=False)


def test_noise_that_is_not_like_the_sample_is_an_error_here_too() -> None:
    def wide(like: Tensor, interval: int, draw: int, clock: Any) -> Tensor:
        return torch.zeros(5, *like.shape)

    for table in (True, False):
        run = plan(Late()).start(noise(2, 3), noise=wide, table=table)
        with pytest.raises(PluginError, match="Late"):
            answer(run)


def test_gradients_flow_through_a_table() -> None:
    whole, x = plan(Heun()), noise(2, 3)
    grads = []
    for table in (True, False):
        weight = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
        run = whole.start(x, table=table)
        while (query := run.query) is not None:
            run.advance(torch.tanh(query.x * weight))
        (grad,) = torch.autograd.grad(run.sample.sum(), weight)
        grads.append(grad)
    assert torch.equal(*grads)


class Stubborn(Scheduler):
    """What a step may do that no table can hold, by name."""

    how: str

    def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        end = denoised.at(interval.end)
        match self.how:
            case "value":
                end = end if end.mean() > 0 else -end
            case "torch":
                end = torch.tanh(end)
            case "product":
                end = end * denoised.x0
            case "shape":
                end = end.view(x.shape)
            case "in place":
                end.add_(end)
                x.add_(end)
            case "constant":
                end = combine((1.0, end), (1.0, torch.ones(2, 3, dtype=torch.float64)))
        return end, memory


class Lists(Scheduler):
    Memory: ClassVar[type] = History

    def step(self, x: Tensor, interval: Interval, memory: Any, noise: Noise) -> Step:
        denoised = yield interval.start.query(x)
        return denoised.at(interval.end), History([x])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("whole", "reason"),
    [
        (plan(Halving()), "Halving chooses its steps by the error that it sees."),
        (replace(plan(First()), hooks=(DynamicThreshold(),)), "The plan has hooks"),
        (plan(Stubborn(how="value")), "asks a tensor for 'mean'"),
        (plan(Stubborn(how="torch")), "calls torch.tanh"),
        (plan(Stubborn(how="product")), "multiplies a tensor by an object of type Symbol"),
        (plan(Stubborn(how="shape")), "asks a tensor for 'view'"),
        (plan(Stubborn(how="in place")), "writes into a tensor that is in use"),
        (plan(Stubborn(how="constant")), "adds an object of type Tensor to a tensor"),
        (plan(Lists()), "memory holds an object of type list"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_table_has_its_reason_and_the_run_goes_by_the_generators(whole: Plan, reason: str) -> None:
    table = whole.table()
    assert not table
    assert isinstance(table, NoTable)
    assert reason in table.reason
    x = noise(1 if whole.scheduler.adaptive else 2, 3)
    assert torch.equal(finish(whole.start(x.clone())), finish(whole.start(x.clone(), table=False)))


def test_plain_arithmetic_is_recorded_as_it_is_computed() -> None:
    class Plain(Scheduler):
        def step(self, x: Tensor, interval: Interval, memory: NoMemory, noise: Noise) -> Step:
            denoised = yield interval.start.query(x)
            eps, x0 = denoised.eps, denoised.x0
            mixed = torch.add(0.3 * eps - x0, -x0, alpha=0.25)
            return denoised.at(interval.end) * 0.5 + torch.mul(mixed, 0.1).sub(eps, alpha=2), memory

    walked, generated = both(plan(Plain()), noise(2, 3).float())
    assert torch.equal(finish(walked), finish(generated))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_lone_factor_gives_the_bits_of_a_python_float(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(6)
    for factor in (10 ** torch.empty(200, dtype=torch.float64).uniform_(-9, 9, generator=generator)).tolist():
        x = torch.randn(33, generator=generator, dtype=dtype)
        (segment,) = segments(TableStep(0, "a", (Combine("y", (Term(factor, "a"),)),), "y"))
        ((_, make),) = segment.makes
        assert torch.equal(make({"a": x}, x, _none), x * factor)
