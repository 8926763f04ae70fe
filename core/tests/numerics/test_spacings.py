"""Where steps are placed, from the rules' own words; against diffusers' code see tests/parity."""

from __future__ import annotations

import itertools
import math

import pytest
from support.oracles import SD

from latentry import EDM, Flow, IncompatibleError, Leading, Linspace, OptionError, Trailing
from latentry.sigmas import ExactSigmas, SigmaSchedule

COUNTS = pytest.mark.parametrize("steps", [1, 2, 3, 7, 20, 30, 50, 333, 999, 1000])
RULES = pytest.mark.parametrize("rule", [Leading(), Linspace(), Linspace(rounded=True), Trailing()], ids=repr)


def timesteps(rule: SigmaSchedule, steps: int) -> list[float]:
    return [point.timestep for point in rule.points(steps, SD)]


@RULES
@COUNTS
def test_every_rule_gives_that_many_levels_noisiest_first(rule: SigmaSchedule, steps: int) -> None:
    points = rule.points(steps, SD)
    assert len(points) == steps
    assert [p.lam for p in points] == sorted(p.lam for p in points)
    assert all(0 <= p.timestep <= 999 for p in points)


@RULES
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 20, 333, 999])
def test_no_level_comes_twice(rule: SigmaSchedule, steps: int) -> None:
    assert len(set(timesteps(rule, steps))) == steps


@pytest.mark.parametrize("offset", [0, 1, 5])
@pytest.mark.parametrize("steps", [2, 3, 20, 300])
def test_leading_counts_from_the_clean_end_in_whole_strides(steps: int, offset: int) -> None:
    assert timesteps(Leading(offset=offset), steps)[::-1] == [offset + i * (1000 // steps) for i in range(steps)]


@pytest.mark.parametrize("multistep", [False, True])
def test_one_leading_step_begins_at_the_noisiest_level(multistep: bool) -> None:
    assert timesteps(Leading(multistep=multistep), 1) == [999]


def test_leading_never_leaves_the_table() -> None:
    assert timesteps(Leading(offset=1), 1000)[:3] == [999, 999, 998]


@pytest.mark.parametrize("steps", [2, 3, 20, 1000])
def test_linspace_holds_both_ends_and_is_even(steps: int) -> None:
    found = timesteps(Linspace(), steps)
    assert (found[0], found[-1]) == (999, 0)
    gaps = [a - b for a, b in itertools.pairwise(found)]
    assert gaps == pytest.approx([999 / (steps - 1)] * (steps - 1))


@pytest.mark.parametrize("rule", [Linspace(), Trailing()], ids=repr)
def test_a_single_step_begins_at_the_noisiest_level(rule: SigmaSchedule) -> None:
    assert timesteps(rule, 1) == [999]


@COUNTS
def test_trailing_begins_at_the_noisiest_level_and_strides_down(steps: int) -> None:
    found = timesteps(Trailing(), steps)
    assert found[0] == 999
    assert found[-1] == pytest.approx(1000 / steps - 1, abs=0.51)
    assert all(abs((999 - t) - i * 1000 / steps) <= 0.5 for i, t in enumerate(found))


@RULES
@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_an_impossible_number_of_steps_is_refused(rule: SigmaSchedule, steps: int) -> None:
    with pytest.raises(OptionError, match="1 to 1000"):
        rule.points(steps, SD)


@pytest.mark.parametrize("rule", [Leading(), Linspace(rounded=True)], ids=repr)
@pytest.mark.parametrize("process", [Flow(), EDM()], ids=["flow", "edm"])
def test_whole_timesteps_are_refused_where_time_is_continuous(rule: SigmaSchedule, process: Flow | EDM) -> None:
    with pytest.raises(IncompatibleError, match=f"{process.kind!r}"):
        rule.points(20, process)


def test_a_callers_levels_mean_what_the_process_calls_sigma() -> None:
    assert [p.s for p in ExactSigmas(values=(14.0, 1.0)).points(2, SD)] == pytest.approx([14.0, 1.0])
    assert [p.sigma for p in ExactSigmas(values=(1.0, 0.25)).points(2, Flow())] == [1.0, 0.25]


def test_a_callers_levels_are_as_many_as_the_steps() -> None:
    with pytest.raises(OptionError, match="2 sigmas cannot be used for 3 steps"):
        ExactSigmas(values=(2.0, 1.0)).points(3, SD)


@pytest.mark.parametrize("process", [SD, Flow(), EDM()], ids=["vp", "flow", "edm"])
@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_what_is_not_a_level_is_refused(process: Flow, value: float) -> None:
    with pytest.raises(OptionError, match=f"The sigma {value:g} is not a noise level"):
        ExactSigmas(values=(value,)).points(1, process)


def test_more_noise_than_a_process_has_is_refused() -> None:
    for process, value in ((Flow(), 1.5), (EDM(), math.inf)):
        with pytest.raises(OptionError, match="is not a noise level"):
            ExactSigmas(values=(value,)).points(1, process)
