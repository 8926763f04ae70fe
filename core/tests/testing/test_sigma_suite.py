"""The core's own sigma schedules do what the suite asks, and each planted fault is found by its check."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import Field

from latentry import PluginHost, Process, SigmaScheduleSpec
from latentry.sigmas import SigmaSchedule
from latentry.testing import KITS, SigmaScheduleSuite, SigmaSubject

KIT = KITS["sigma_schedules"]
Points = tuple[Any, ...]
FLOW, VP = frozenset({"flow"}), frozenset({"vp", "edm"})


class TestKarras(SigmaScheduleSuite):
    schedule = "karras"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PluginHost(load=["latentry"]).sigma_schedules))
def test_every_one_of_the_core_passes(name: str) -> None:
    subject = SigmaSubject.of(name, host=PluginHost(load=["latentry"]))
    results = [result for check in KIT.checks if check != "listing" for result in KIT.run(subject, check)]
    assert [str(result) for result in results if not result.passed] == []


class Even(SigmaSchedule):
    """Even in time; right."""

    def levels(self, steps: int, process: Process) -> Points:
        return self.even(steps, process)

    @staticmethod
    def even(steps: int, process: Process) -> Points:
        top, last = process.noisiest.timestep, process.cleanest.timestep
        return tuple(process.at(timestep=last + (top - last) * (steps - i) / steps) for i in range(steps))


def planted(levels: Callable[..., Any] = Even.even, **fields: Any) -> type[SigmaSchedule]:
    """A schedule with another rule, and further fields or methods."""
    hints = fields.pop("__annotations__", {})
    rule = {"levels": lambda self, steps, process: levels(steps, process)}
    return type("Planted", (SigmaSchedule,), {"__module__": __name__, "__annotations__": hints, **rule, **fields})


CALLS: list[int] = []


def remembering(steps: int, process: Process) -> Points:
    CALLS.append(steps)
    return tuple(p for p in Even.even(steps + len(CALLS) % 3, process))[-steps:]


def drawing(steps: int, process: Process) -> Points:
    torch.rand(1)
    return Even.even(steps, process)


def of_numpy(steps: int, process: Process) -> Points:
    last = process.cleanest.timestep
    times = np.linspace(process.noisiest.timestep, last, steps, endpoint=False)
    return tuple(process.at(lam=np.float64(process.at(timestep=float(t)).lam)) for t in times)


FAULTS: dict[str, tuple[str, type[SigmaSchedule], dict[str, Any]]] = {
    "rising": ("levels", planted(lambda n, p: Even.even(n, p)[::-1]), {}),
    "one too few": ("levels", planted(lambda n, p: Even.even(n, p)[1:]), {}),
    "one too many": ("levels", planted(lambda n, p: (*Even.even(n, p), p.cleanest)), {}),
    "the first twice": ("levels", planted(lambda n, p: (Even.even(n, p)[0], *Even.even(n, p)[:-1])), {}),
    "the end is a level": ("levels", planted(lambda n, p: (*Even.even(n, p)[:-1], p.clean())), {}),
    "pairs of numbers": ("levels", planted(lambda n, p: [(1.0, 0.0)] * n), {}),
    "it fails": ("levels", planted(lambda n, p: 1 / 0), {}),
    "levels of another process": (
        "levels",
        planted(lambda n, p: tuple(point._replace(timestep=point.timestep / 2) for point in Even.even(n, p))),
        {},
    ),
    "noisier than training": ("levels", planted(lambda n, p: tuple(p.at(s=400.0 / (i + 1)) for i in range(n))), {}),
    "shifted twice": (
        "shift",
        type(
            "Twice",
            (SigmaSchedule,),
            {
                "__module__": __name__,
                "levels": lambda self, n, p: tuple(
                    p.at(lam=x.lam - math.log(self.shift) if math.isfinite(x.lam) else x.lam) for x in Even.even(n, p)
                ),
            },
        ),
        {},
    ),
    "it remembers": ("repeatable", planted(remembering), {}),
    "it draws": ("repeatable", planted(drawing), {}),
    "numbers of numpy": ("numbers", planted(of_numpy), {}),
    "an option without a description": ("options", planted(__annotations__={"rho": float}, rho=7.0), {}),
    "an option without a default": (
        "options",
        planted(__annotations__={"rho": float}, rho=Field(description="of the curve")),
        {},
    ),
    "processes that the class does not have": ("spec", Even, {"processes": VP}),
    "a name in capitals": ("spec", Even, {"name": "Even"}),
    "an exemption without a reason": ("spec", Even, {"exemptions": (("shift", ""),)}),
    "an exemption from nothing": ("spec", Even, {"exemptions": (("shifts", "why"),)}),
    "it lays out where it is not for": ("elsewhere", Even, {"processes": FLOW}),
}


def results_of(schedule: type[SigmaSchedule], check: str, **record: Any) -> list[Any]:
    fields = {"name": "planted", "target": "nowhere:Nothing", "summary": "", "processes": schedule.kinds} | record
    return list(KIT.run(SigmaSubject.of(schedule, spec=SigmaScheduleSpec(**fields)), check))


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_is_found_and_the_message_says_what_to_change(what: str) -> None:
    check, schedule, record = FAULTS[what]
    if "without a default" in what:
        subject = SigmaSubject.of(schedule)
        failed = [result for result in KIT.run(subject, check) if not result.passed]
    else:
        failed = [result for result in results_of(schedule, check, **record) if not result.passed]
    assert failed
    assert all(len(result.hint) > 30 for result in failed)


@pytest.mark.slow
def test_without_a_fault_it_passes() -> None:
    for check in KIT.checks:
        assert [str(result) for result in results_of(Even, check) if not result.passed] == []


def test_an_override_is_refused_and_an_exemption_is_shown() -> None:
    with pytest.raises(TypeError, match=r"overrides test_levels.*SigmaScheduleSpec.*exemptions=\(\('levels', 'why'\)"):

        class TestMine(SigmaScheduleSuite):
            schedule = Even

            def test_levels(self) -> None: ...

    (shown,) = results_of(planted(lambda n, p: ()), "levels", exemptions=(("levels", "an example"),))
    assert (shown.verdict, shown.exempt) == ("exempt", "an example")
