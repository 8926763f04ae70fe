"""Schedulers that load well and return something wrong, each really installed: the error names the scheduler."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.distributions import Distribution, Site, install
from support.faulty import IMPORTS

MISTAKES = {
    "forgets": ("return x", "not a tuple of the sample and the memory"),
    "cuts": ("return x[:, :1], memory", "where the sample is float32 of shape (1, 2)"),
    "widens": ("return x.double(), memory", "step() returned float64"),
    "runs-past": ("return x, memory, interval.at(lam=interval.end.lam + 9)", "as the level it reached"),
    "waits": ("return x, memory, interval.start", "as the level it reached"),
}
CODE = "from latentry import Scheduler\n" + "".join(
    f"""
class {name.title().replace("-", "")}(Scheduler):
    def step(self, x, interval, memory, noise):
        yield interval.start.query(x)
        {line}
"""
    for name, (line, _) in MISTAKES.items()
)
RULE = """
from latentry.sigmas import SigmaSchedule

class Short(SigmaSchedule):
    def levels(self, steps, process):
        return (process.noisiest,) * (steps - 1)

class Crooked(SigmaSchedule):
    def levels(self, steps, process):
        return tuple(process.at(s=1.0 / 0.0) for _ in range(steps))
"""
LINE = "    yield {record}(name={name!r}, target='latentry_wrong.{file}:{code}', summary='A.')\n"
SPECS = "".join(
    LINE.format(record="SchedulerSpec", name=name, file="code", code=name.title().replace("-", "")) for name in MISTAKES
)
RULES = "".join(
    LINE.format(record="SigmaScheduleSpec", name=name, file="rules", code=name.title()) for name in ("short", "crooked")
)
WRONG = Distribution(
    "latentry-wrong",
    f"{IMPORTS}from latentry import *\n\n@hookimpl\ndef latentry_schedulers():\n{SPECS}\n"
    f"@hookimpl\ndef latentry_sigma_schedules():\n{RULES}",
    {"code.py": CODE, "rules.py": RULE},
)


@pytest.fixture(scope="module")
def site(core: Path, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site((core, install(tmp_path_factory.mktemp("wrong"), WRONG)))


def test_what_a_scheduler_returns_is_checked(site: Site) -> None:
    code = f"""
        import torch
        from latentry import Flow, PluginError, PluginHost, Prediction
        host = PluginHost(load=["wrong"], strict=True)
        for name in {list(MISTAKES)!r}:
            plan = host.schedulers.create(name).plan(process=Flow(), prediction=Prediction.FLOW, sigmas=[0.9, 0.4])
            run = plan.start(torch.ones(1, 2))
            try:
                run.advance(run.query.x)
            except PluginError as error:
                print(name, "|", error.what, "|", error.why)
        """
    printed = site.python(code)
    found = dict(line.split(" | ", 1) for line in printed.splitlines())
    assert found.keys() == MISTAKES.keys()
    for name, (_, words) in MISTAKES.items():
        assert found[name].startswith(
            f"The scheduler '{name}' of latentry-wrong 1.0 does not do what a scheduler must."
        )
        assert words in found[name]


def test_what_a_sigma_rule_returns_or_raises_is_checked(site: Site) -> None:
    code = """
        from latentry import Flow, PluginError, PluginHost
        host = PluginHost(load=["wrong"], strict=True)
        for name in ("short", "crooked"):
            try:
                host.sigma_schedules.create(name).points(4, Flow())
            except PluginError as error:
                print(error.what, "|", error.why)
        """
    printed = site.python(code)
    short, crooked = printed.splitlines()
    assert short.startswith("The sigma schedule 'short' of latentry-wrong 1.0 does not do what a sigma schedule must.")
    assert "levels() returned 3 levels for 4 steps" in short
    assert crooked.startswith("The sigma schedule 'crooked' of latentry-wrong 1.0 failed.")
    assert "ZeroDivisionError" in crooked
    assert "latentry_wrong/rules.py:10" in crooked
