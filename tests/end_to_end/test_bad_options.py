"""Every option of every scheduler and sigma schedule with values it cannot have: one clear error each."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_origin

import pytest
from support.commandline import CommandLine, fresh

from latentry import EDM, Flow, IncompatibleError, OptionError, PluginHost, Prediction, VariancePreserving

HOST = PluginHost()
SD = VariancePreserving.from_betas()
ON = {"vp": (SD, Prediction.V), "flow": (Flow(), Prediction.FLOW), "edm": (EDM(), Prediction.EDM)}
KINDS = ("schedulers", "sigma_schedules")


def wrong(field: Any) -> Iterator[object]:
    """Values an option cannot have, by its type and its bounds."""
    kind = field.annotation
    if get_origin(kind) is Literal:
        yield from ("nonsense", 3)
    elif kind is bool:
        yield from ("maybe", 2.5)
    elif kind in (int, float):
        yield from ("much", math.nan, [1])
        if kind is int:
            yield 2.5
    else:
        yield "x"
    for metadata in field.metadata:
        for bound, beyond in (("ge", -1), ("gt", 0), ("le", 1), ("lt", 0)):
            if getattr(metadata, bound, None) is not None:
                yield type(getattr(metadata, bound))(getattr(metadata, bound) + beyond)


CASES = [
    (kind, name, option, value)
    for kind in KINDS
    for name in getattr(HOST, kind)
    for option, field in getattr(HOST, kind).load(name).model_fields.items()
    for value in wrong(field)
]


def test_there_are_many() -> None:
    assert len(CASES) > 500
    with_options = {name for name in HOST.schedulers if HOST.schedulers.load(name).model_fields}
    assert {name for kind, name, *_ in CASES if kind == "schedulers"} == with_options


@pytest.mark.parametrize(("kind", "noun"), [("schedulers", "scheduler"), ("sigma_schedules", "sigma schedule")])
def test_a_value_that_is_none_says_what_there_is(kind: str, noun: str) -> None:
    registry = getattr(HOST, kind)
    for name, option, value in ((n, o, v) for k, n, o, v in CASES if k == kind):
        with pytest.raises(OptionError) as caught:
            registry.create(name, **{option: value})
        error = caught.value
        assert error.what.startswith(f"The {noun} '{name}' cannot take option '{option}' {value!r}: "), error.what
        assert error.what.count(". ") == 0
        assert error.why.startswith(f"{option}: ")
        assert error.remedy.startswith("Its options are: ")
        assert option in error.remedy
        assert "pydantic" not in str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_the_class_itself_refuses_in_the_same_words(kind: str) -> None:
    for name, option, value in ((n, o, v) for k, n, o, v in CASES if k == kind):
        target = getattr(HOST, kind).load(name)
        with pytest.raises(OptionError) as caught:
            target(**{option: value})
        assert caught.value.what.startswith(f"{target.__name__} cannot take option '{option}'")


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_option_lists_the_known(kind: str) -> None:
    for name in getattr(HOST, kind):
        with pytest.raises(OptionError, match="has no option 'etaa'") as caught:
            getattr(HOST, kind).create(name, etaa=0.5)
        assert caught.value.remedy.startswith(("Its options are: ", "Did you mean "))


NO_STEPS = (0, -1, 10_000, 2.5, "8", None)
NO_SIGMAS: dict[str, Any] = {
    "rising": (0.2, 0.5),
    "not a number": (0.9, math.nan),
    "below nothing": (-0.1,),
    "none": (),
    "words": ("a", "b"),
    "a name": "karras",
    "a number": 3.0,
    "nothing": None,
}


@pytest.mark.parametrize("name", HOST.schedulers)
def test_no_scheduler_takes_steps_that_are_none(name: str) -> None:
    spec, scheduler = HOST.schedulers[name], HOST.schedulers.create(name)
    for kind in spec.processes:
        process, prediction = ON[kind]
        fitting = (p.name for p in spec.sigmas_for(20, kind) if kind in HOST.sigma_schedules[p.name].processes)
        schedule = HOST.sigma_schedules.create(next(fitting))
        for steps in NO_STEPS:
            with pytest.raises(OptionError, match="steps") as caught:
                scheduler.plan(steps, process=process, prediction=prediction, sigmas=schedule)
            assert caught.value.remedy.startswith("Ask for ")


@pytest.mark.parametrize("name", HOST.schedulers)
@pytest.mark.parametrize("what", NO_SIGMAS)
def test_no_scheduler_takes_levels_that_are_none(name: str, what: str) -> None:
    for kind in HOST.schedulers[name].processes:
        process, prediction = ON[kind]
        with pytest.raises((OptionError, IncompatibleError)) as caught:
            HOST.schedulers.create(name).plan(process=process, prediction=prediction, sigmas=NO_SIGMAS[what])
        assert isinstance(caught.value, ValueError)
        assert caught.value.what.count("\n") == 0
        assert caught.value.remedy


def test_no_sigma_schedule_accepts_a_bad_number_of_steps() -> None:
    for name in HOST.sigma_schedules:
        for kind in HOST.sigma_schedules[name].processes:
            for steps in (0, -1, 10_000):
                with pytest.raises(OptionError, match=f"{steps} steps cannot be laid out"):
                    HOST.sigma_schedules.create(name).points(steps, ON[kind][0])


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"final": "never"}, ("'never' is not an ending", "'zero' or 'table'")),
        ({"prediction": "velocity"}, ("'velocity' is not a prediction type", "v_prediction")),
        ({"process": "vp"}, ("'vp' is not a noise process", "Flow()")),
    ],
)
def test_a_plan_of_parts_that_are_none(wanted: dict[str, Any], words: tuple[str, str]) -> None:
    given = {"process": SD, "prediction": Prediction.V, "sigmas": (3.0, 1.0)} | wanted
    with pytest.raises(OptionError, match=words[0].replace("(", r"\(")) as caught:
        HOST.schedulers.create("ddim").plan(**given)
    assert words[1] in caught.value.remedy


ON_THE_LINE = {
    "unipc order 4": (["--scheduler", "unipc", "--set", "order=4"], ("'order' 4", "at most 3")),
    "eta below nothing": (["--scheduler", "ddim", "--set", "eta=-1"], ("'eta' -1", "at least 0")),
    "a type that is none": (["--scheduler", "dpmpp-2m", "--set", "solver=euler"], ("'midpoint' or 'exact'",)),
    "another scheduler's option": (["--scheduler", "euler", "--set", "eta=0.5"], ("has no option 'eta'", "churn")),
    "an option of a peer's name": (["--scheduler", "DPM++ 2M SDE", "--set", "eta=9"], ("'eta' 9", "at most 5")),
    "not a number": (
        ["--scheduler", "unipc", "--set", "corrector=NaN"],
        ("--set corrector=NaN: it must not contain NaN.",),
    ),
    "a schedule's option": (["--sigmas", "karras", "--sigma-set", "rho=0"], ("'rho' 0", "more than 0")),
    "a rising list": (["--sigmas", "1,2"], ("must fall", "2 comes after 1")),
    "a list with NaN": (["--sigmas", "3,nan"], ("--sigmas 3,nan: it must not contain NaN.",)),
    "no steps": (["--steps", "0"], ("--steps 0: it must be at least 1.",)),
    "ten thousand steps": (["--steps", "10000"], ("10000 steps cannot be laid out", "Ask for 1 to")),
    "half a step": (["--steps", "2.5"], ("--steps 2.5: it must be a whole number.",)),
    "a name that is absent": (["--scheduler", "Heun++"], ("is not available here", "'heun'")),
    "a schedule that is absent": (["--sigmas", "bong_tangent"], ("is not available here", "'beta'")),
}


@pytest.mark.parametrize("what", ON_THE_LINE)
def test_the_command_line_ends_with_2_and_one_message(
    latentry: CommandLine, tiny: Path, tmp_path: Path, what: str
) -> None:
    arguments, words = ON_THE_LINE[what]
    done = latentry("generate", "a star", "--quiet", "--model", tiny, *arguments, folder=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err
    assert done.err.lower().count("error") == 1
    assert [word for word in words if word not in done.err] == [], done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["unipc", "--set", "order=4"], ("'order' 4", "at most 3")),
        (["ddim", "--set", "eta=-1"], ("'eta' -1",)),
        (["ddim", "--set", "eta"], ("NAME=VALUE",)),
        (["nothing"], ("There is no scheduler 'nothing'",)),
        (["Heun++"], ("is not available here", "'heun'")),
    ],
)
def test_so_does_check(latentry: CommandLine, tmp_path: Path, arguments: list[str], words: tuple[str, ...]) -> None:
    done = latentry("check", *arguments, folder=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err
    assert [word for word in words if word not in done.err] == [], done.err


@pytest.mark.parametrize(
    ("typed", "listed"), [("uni_pc", "unipc"), ("k_euler_a", "euler-ancestral"), ("Ddim", "ddim"), ("unipc", "unipc")]
)
def test_schedulers_takes_another_programs_name(typed: str, listed: str, tmp_path: Path) -> None:
    done = fresh("schedulers", typed, "--json", folder=tmp_path)
    assert done.code == 0, done.err
    assert [record["select"] for record in json.loads(done.out)] == [listed]


def test_check_takes_another_programs_name(latentry: CommandLine, tmp_path: Path) -> None:
    done = latentry("check", "LMSDiscreteScheduler", "--json", folder=tmp_path)
    findings = json.loads(done.out)["LMSDiscreteScheduler"]
    assert {finding["case"] for finding in findings} <= {"guard=False arrival=full", "all"}
