"""What holds for every sigma schedule on every process."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from support.oracles import SD, ZTSNR

from latentry import ALL_PROCESSES, EDM, Flow, IncompatibleError, OptionError, PluginHost, Process
from latentry.sigmas import ExactSigmas, Receding, SigmaSchedule

HOST = PluginHost(load=("latentry",))
NAMES = HOST.sigma_schedules.names()
PROCESSES: dict[str, Process] = {
    "vp": SD,
    "ztsnr": ZTSNR,
    "flow": Flow(),
    "edm": EDM(),
    "svd": EDM(sigma_max=700.0),
}
COUNTS = (1, 2, 3, 10, 20, 50)
PAIRS = [(name, process) for name in NAMES for process in PROCESSES]
EXPECTED = (
    "align-your-steps beta beta-sigmas ddim-uniform distilled dmd2 exponential hyper-sd karras kl-optimal leading "
    "linear-quadratic linspace normal polyexponential receding schnell sgm-uniform simple trailing"
)
SINGLE = {"dmd2": 399, "hyper-sd": 800}
"""The timestep of a single step, as published."""
SHORT_OF_THE_START = {"leading", "ddim-uniform"}
"""Rules that begin below the noisiest level by their nature."""


def made(name: str, process: str = "vp") -> SigmaSchedule:
    options = {"model": "svd"} if (name, process) == ("align-your-steps", "svd") else {}
    schedule: SigmaSchedule = HOST.sigma_schedules.create(name, **options)
    return schedule


def fits(name: str, process: str) -> bool:
    if name == "align-your-steps":  # one table a checkpoint, none for a start at pure noise or at σ = 80
        return process in ("vp", "svd")
    return PROCESSES[process].kind in HOST.sigma_schedules[name].processes


def test_the_core_brings_the_schedules_of_the_field() -> None:
    assert sorted(NAMES) == sorted(EXPECTED.split())


@pytest.mark.parametrize("name", NAMES)
def test_a_record_and_its_class_say_the_same(name: str) -> None:
    spec = HOST.sigma_schedules[name]
    assert spec.processes == HOST.sigma_schedules.load(name).kinds
    assert spec.variant and spec.summary
    assert all(field.description for field in HOST.sigma_schedules.load(name).model_fields.values())


@pytest.mark.parametrize(("name", "process"), [pair for pair in PAIRS if fits(*pair)])
def test_it_works_for_every_number_of_steps(name: str, process: str) -> None:
    schedule = made(name, process)
    for steps in COUNTS:
        points = schedule.points(steps, PROCESSES[process])
        assert len(points) == steps
        assert all(a.lam < b.lam for a, b in pairwise(points))
        assert points[-1].sigma > 0.0
        assert all(math.isfinite(p.alpha + p.sigma + p.timestep) for p in points)


@pytest.mark.parametrize(("name", "process"), [pair for pair in PAIRS if not fits(*pair)])
def test_it_says_why_it_does_not_fit(name: str, process: str) -> None:
    for steps in COUNTS:
        with pytest.raises(IncompatibleError) as refusal:
            made(name, process).points(steps, PROCESSES[process])
        assert refusal.value.what and refusal.value.why and refusal.value.remedy


@pytest.mark.parametrize(("name", "process"), [p for p in PAIRS if fits(*p) and p[0] not in SHORT_OF_THE_START])
def test_it_begins_at_the_noisiest_level(name: str, process: str) -> None:
    noisiest = PROCESSES[process].noisiest
    for steps in COUNTS:
        first = made(name, process).points(steps, PROCESSES[process])[0]
        if steps == 1 and name in SINGLE:
            assert first.timestep == SINGLE[name]
            continue
        assert first.alpha == pytest.approx(noisiest.alpha, rel=1e-4, abs=0.0)  # a published table has five digits
        if noisiest.alpha == 0.0:
            assert first == noisiest


@pytest.mark.parametrize(
    ("name", "process", "levels"),
    [
        ("sdxl-turbo", "vp", (999, 749, 499, 249)),
        ("lightning", "vp", (999, 874, 749, 624, 499, 374, 249, 124)),
        ("hyper", "vp", (999, 499)),
        ("dmd2", "vp", (999, 749, 499, 249)),
        ("lcm", "vp", (999, 759, 499, 259)),
        ("tcd", "vp", (999, 759, 499, 259)),
        ("schnell", "flow", (1000, 750, 500, 250)),
    ],
)
def test_distilled_models_have_their_published_levels_by_name(name: str, process: str, levels: tuple[int, ...]) -> None:
    """As their authors give them: lists of timesteps on a model of a thousand."""
    points = made(name).points(len(levels), PROCESSES[process])
    assert [point.timestep for point in points] == pytest.approx(levels)


@pytest.mark.parametrize(("name", "process"), [p for p in PAIRS if fits(*p)])
def test_an_absurd_number_of_steps_is_refused(name: str, process: str) -> None:
    for steps in (0, -3, 10_000):
        with pytest.raises(OptionError, match=f"^{steps} steps cannot be laid out"):
            made(name, process).points(steps, PROCESSES[process])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shift", [0.0, -1.0, math.nan, math.inf])
def test_an_invalid_shift_is_refused(name: str, shift: float) -> None:
    with pytest.raises(OptionError, match="option 'shift'"):
        HOST.sigma_schedules.create(name, shift=shift)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("karras", {"rho": -7.0}),
        ("karras", {"rho": math.nan}),
        ("karras", {"sigma_max": -1.0}),
        ("karras", {"sigma_min": math.nan}),
        ("karras", {"span": "all"}),
        ("polyexponential", {"rho": 0.0}),
        ("beta", {"alpha": 0.0}),
        ("beta-sigmas", {"beta": math.inf}),
        ("linear-quadratic", {"threshold": 1.0}),
        ("linear-quadratic", {"linear_steps": 0}),
        ("align-your-steps", {"model": "flux"}),
        ("leading", {"offset": -1}),
        ("linspace", {"last": 0.0}),
    ],
)
def test_an_option_out_of_range_is_one_clear_error(name: str, options: dict[str, float]) -> None:
    (option,) = options
    with pytest.raises(OptionError, match=f"'{name}' cannot take option '{option}'"):
        HOST.sigma_schedules.create(name, **options)


@pytest.mark.parametrize(
    ("process", "values", "message"),
    [
        ("vp", (1.0, 2.0), "2 comes after 1"),
        ("vp", (14.0, math.nan), "sigma nan is not a noise level"),
        ("vp", (14.0, -0.1), "sigma -0.1 is not a noise level"),
        ("vp", (math.inf, 1.0), "sigma inf is not a noise level"),
        ("edm", (math.inf, 1.0), "sigma inf is not a noise level"),
        ("flow", (math.inf, 0.5), "sigma inf is not a noise level"),
        ("flow", (1.0, 0.5, 0.7), "0.7 comes after 0.5"),
        ("flow", (14.6, 0.5), "sigma 14.6 is not a noise level"),
    ],
)
def test_a_callers_list_that_is_invalid_is_one_clear_error(
    process: str, values: tuple[float, ...], message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        ExactSigmas(values=values).points(len(values), PROCESSES[process])


def test_a_callers_list_may_begin_at_pure_noise_where_the_process_does() -> None:
    assert ExactSigmas(values=(math.inf, 3.0)).points(2, ZTSNR)[0].alpha == 0.0
    assert ExactSigmas(values=(1.0, 0.5)).points(2, Flow())[0].alpha == 0.0


def test_a_callers_list_may_repeat_a_level() -> None:
    assert len(ExactSigmas(values=(3.0, 3.0, 1.0)).points(3, SD)) == 3


def test_every_kind_of_process_has_schedules() -> None:
    for kind in ALL_PROCESSES:
        fitting = [name for name in NAMES if kind in HOST.sigma_schedules[name].processes]
        assert len(fitting) >= 12


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_both_ends_of_receding_move_with_the_number_of_steps(shift: float) -> None:
    for steps, top in ((8, 20.0), (40, 60.0)):
        first, second, *_, last = Receding(end=0.75, top=20.0, rise=1.5, shift=shift).points(steps, Flow())
        assert first.alpha == 0.0
        assert second.s == pytest.approx(shift * top)
        assert last.s == pytest.approx(shift * 0.75 / steps)
