"""Plans: what they refuse, how they are cut, and what they say about themselves."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, replace

import pytest
import torch
from support.oracles import PROCESSES, SD, ZTSNR, Gaussian, finish, noise
from support.toys import First, Greedy, Halving, Heun, TwoStep

from latentry import (
    EDM,
    Denoised,
    Final,
    Flow,
    IncompatibleError,
    Karras,
    Leading,
    Linspace,
    OptionError,
    Plan,
    Prediction,
    Scheduler,
    Trailing,
)
from latentry.sigmas import SigmaSchedule

FALLING = (14.0, 5.0, 1.0, 0.3)


def plan(scheduler: Scheduler | None = None, sigmas: tuple[float, ...] = FALLING, **options: object) -> Plan:
    """Four steps of v-prediction."""
    values = {"process": SD, "prediction": Prediction.V, "sigmas": sigmas} | options
    return (scheduler or First()).plan(**values)  # type: ignore[arg-type]


def laid_out(steps: int, rule: SigmaSchedule, final: Final) -> Plan:
    """Steps by a rule."""
    return First().plan(steps, process=SD, prediction=Prediction.V, sigmas=rule, final=final)


def test_n_steps_have_n_intervals_and_end_where_asked() -> None:
    assert len(plan()) == 4
    assert plan().points[-1] == SD.clean()
    assert plan(final="table").points[-1] == SD.cleanest
    assert len(First().plan(20, process=SD, prediction=Prediction.EPSILON, sigmas=Leading())) == 20


@pytest.mark.parametrize("steps", [None, 0, -3])
def test_a_rule_needs_a_number_of_steps(steps: int | None) -> None:
    with pytest.raises(OptionError, match="number of steps"):
        First().plan(steps, process=SD, prediction=Prediction.V, sigmas=Trailing())


def test_levels_that_rise_in_between_are_refused() -> None:
    with pytest.raises(OptionError, match="must fall from step to step, and 14 comes after 5"):
        plan(sigmas=(5.0, 14.0, 1.0))


def test_a_list_that_goes_below_the_tables_end_is_refused_with_that_ending() -> None:
    with pytest.raises(IncompatibleError, match="must fall"):
        plan(sigmas=(5.0, 0.001), final="table")


@pytest.mark.parametrize("process", [ZTSNR, Flow()], ids=["ztsnr", "flow"])
def test_a_noise_prediction_from_pure_noise_is_refused(process: Flow) -> None:
    with pytest.raises(IncompatibleError, match="cannot start from pure noise") as caught:
        First().plan(
            process=process, prediction=Prediction.EPSILON, sigmas=(math.inf, 1.0) if process is ZTSNR else (1.0,)
        )
    assert "α = 0" in caught.value.why
    assert "v-prediction" in caught.value.remedy


def test_the_cleaner_part_of_such_a_plan_is_fine() -> None:
    whole = First().plan(4, process=ZTSNR, prediction=Prediction.V, sigmas=Trailing())
    assert len(replace(whole[1:], prediction=Prediction.EPSILON)) == 3


def test_a_clean_prediction_that_starts_from_no_noise_is_refused() -> None:
    forward = plan(prediction=Prediction.X0)
    with pytest.raises(IncompatibleError, match="σ = 0"):
        forward.reversed()


def test_a_slice_is_a_plan_of_those_steps() -> None:
    whole = plan()
    assert whole[1:].points == whole.points[1:]
    assert whole[1:3].points == whole.points[1:4]
    assert whole[:2].points[-1] == whole.points[2]
    assert len(whole[-1:]) == 1


def test_a_slice_that_skips_steps_or_holds_none_is_refused() -> None:
    with pytest.raises(ValueError, match="step of 1"):
        plan()[::2]
    with pytest.raises(OptionError, match="at least one step"):
        plan()[4:]


@pytest.mark.parametrize("name", PROCESSES)
def test_two_slices_one_after_the_other_are_the_whole(name: str) -> None:
    process, prediction = PROCESSES[name]
    levels = (0.9, 0.5, 0.2) if process.kind == "flow" else FALLING
    whole = First().plan(process=process, prediction=prediction, sigmas=levels)
    network = Gaussian().network(prediction, process.data_std)
    x = noise(2, 3)
    half = finish(whole[:2].start(x), network)
    assert torch.equal(finish(whole[2:].start(half), network), finish(whole.start(x), network))


def test_a_reversed_plan_walks_the_same_levels_up() -> None:
    assert plan().reversed().points == plan().points[::-1]
    assert plan().reversed().reversed() == plan()


def test_reversed_and_back_ends_where_it_began_for_a_constant_x0() -> None:
    x0 = noise(2, 3, seed=1)

    def constant(query: object) -> torch.Tensor:
        return x0

    there = plan(prediction=Prediction.X0)[:3]
    x = noise(2, 3, seed=2)
    back = finish(there.reversed().start(finish(there.start(x), constant)), constant)
    assert torch.allclose(back, x, rtol=0, atol=1e-12)


def test_hooks_see_every_evaluation_in_order_and_the_solver_sees_what_they_give() -> None:
    seen: list[str] = []

    def first(answer: Denoised) -> Denoised:
        seen.append("first")
        return answer.with_x0(answer.x0.clamp(-0.1, 0.1))

    def second(answer: Denoised) -> Denoised:
        assert float(answer.x0.abs().max()) <= 0.1
        seen.append("second")
        return answer.with_x0(answer.x0 + 5)

    whole = plan(Heun(), hooks=(first, second))
    result = finish(whole.start(noise(2, 3)), Gaussian().network(Prediction.V))
    assert seen == ["first", "second"] * 7
    assert float((result - 5).abs().max()) <= 0.1 + 1e-12


def test_hooks_are_part_of_a_preview() -> None:
    run = plan(hooks=(lambda answer: answer.with_x0(torch.ones_like(answer.x0)),)).start(noise(1, 3))
    assert run.query is not None
    assert torch.equal(run.denoise(run.query.x).x0, torch.ones(1, 3, dtype=torch.float64))


@pytest.mark.parametrize(
    ("scheduler", "counts"),
    [(First(), (1, 1, 1, 1)), (Heun(), (2, 2, 2, 1)), (TwoStep(), (1, 1, 1, 1)), (Greedy(), (1, 1, 1, 1))],
    ids=lambda value: type(value).__name__,
)
def test_a_plan_counts_its_evaluations_without_a_network(scheduler: Scheduler, counts: tuple[int, ...]) -> None:
    whole = plan(scheduler)
    assert whole.evaluations == sum(counts)
    assert whole.evaluations_by_step == counts
    assert whole.queries is not None
    assert [(q.index, q.stage) for q in whole.queries] == [(i, j) for i, n in enumerate(counts) for j in range(n)]


@pytest.mark.parametrize("name", PROCESSES)
def test_evaluations_are_counted_on_every_process(name: str) -> None:
    process, prediction = PROCESSES[name]
    levels = (0.9, 0.5, 0.2) if process.kind == "flow" else FALLING[1:]
    assert Heun().plan(process=process, prediction=prediction, sigmas=levels).evaluations == 5


def test_a_plan_that_starts_from_pure_noise_counts_too() -> None:
    for process, prediction in ((ZTSNR, Prediction.V), (Flow(), Prediction.FLOW)):
        levels = (math.inf, 1.0) if process is ZTSNR else (1.0, 0.5)
        assert Heun().plan(process=process, prediction=prediction, sigmas=levels).evaluations == 2


def test_an_adaptive_plan_does_not_pretend_to_know() -> None:
    whole = plan(Halving())
    assert (whole.queries, whole.evaluations, whole.evaluations_by_step) == (None, None, None)


def test_repeated_levels_are_passed_over_without_an_evaluation() -> None:
    twice = plan(sigmas=(14.0, 14.0, 5.0, 5.0, 5.0, 1.0, 0.3, 0.0, 0.0))
    assert twice.evaluations_by_step == (0, 1, 0, 0, 1, 1, 1, 0, 0)
    network = Gaussian().network(Prediction.V)
    x = noise(2, 3)
    assert torch.equal(finish(twice.start(x), network), finish(plan().start(x), network))


def test_a_plan_of_one_level_only_is_done_at_once() -> None:
    run = Plan(First(), SD, Prediction.V, (SD.clean(), SD.clean())).start(noise(1, 3))
    assert run.done
    assert run.query is None


@pytest.mark.parametrize(("sigmas", "final"), [((0.0,), "zero"), ((0.0, 0.0), "zero"), ((SD.cleanest.s,), "table")])
def test_sigmas_that_leave_nothing_to_do_are_refused(sigmas: tuple[float, ...], final: Final) -> None:
    with pytest.raises(OptionError, match="leave no step to take"):
        plan(sigmas=sigmas, final=final)


def test_sigmas_that_end_in_a_zero_leave_the_other_steps() -> None:
    assert plan(sigmas=(14.0, 3.0, 0.0)).evaluations == 2


def test_a_rule_that_ends_at_the_tables_end_lays_out_a_level_more() -> None:
    """The boundaries are those of the same rule with one step more; nothing else changes."""
    for rule in (Karras(), Linspace(), Leading(offset=0)):
        assert laid_out(20, rule, "table").points == rule.points(21, SD)
        assert laid_out(20, rule, "zero").points[:-1] == rule.points(20, SD)
    assert laid_out(20, Trailing(), "table").points[:-1] == Trailing().points(20, SD)


def test_more_steps_than_the_table_has_intervals_are_refused() -> None:
    assert laid_out(999, Linspace(), "table").evaluations == 999
    with pytest.raises(OptionError, match="Linspace cannot lay out 1000 steps that end at the table's cleanest level"):
        laid_out(1000, Linspace(), "table")


def test_initial_noise_has_the_processs_own_power_or_the_levels_sigma() -> None:
    assert plan().noise_scale() == 1.0
    assert plan().noise_scale("sigma") == plan().points[0].sigma
    assert Flow().noisiest.sigma == 1.0
    for convention in ("unit", "sigma"):
        wide = First().plan(process=EDM(), prediction=Prediction.EDM, sigmas=(80.0, 1.0))
        assert wide.noise_scale(convention) == pytest.approx(80.0)  # type: ignore[arg-type]


def test_a_plan_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        plan().points = ()  # type: ignore[misc]


def test_a_fingerprint_distinguishes_plans() -> None:
    others = [
        plan(),
        plan(Heun()),
        plan(prediction=Prediction.EPSILON),
        plan(sigmas=(14.0, 5.0, 1.0, 0.30001)),
        plan(final="table"),
        plan(Halving()),
        plan(Halving(least=0.6)),
        plan()[1:],
        plan().reversed(),
    ]
    assert len({other.fingerprint for other in others}) == len(others)
    assert plan().fingerprint == plan(hooks=(lambda answer: answer,)).fingerprint
