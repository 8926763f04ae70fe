"""``best``: the scheduler that came nearest in what the records have measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.toy import PLUGIN, write_toy

from latentry import Engine, GenerationRequest, OptionError, PluginHost, Setup

MEASURED = '''
from latentry import Evidence, Scheduler, SchedulerSpec, hookimpl

def rows(*errors):
    """Of two networks, the first at two guidance scales, in 5 and in 20 steps."""
    names = (("one", 1.5), ("one", 8.0), ("two", 1.5))
    return tuple(Evidence("vp", *name, ((5, few), (20, many))) for name, (few, many) in zip(names, errors))

@hookimpl
def latentry_schedulers():
    spec = {"target": "measured:First", "summary": "A toy."}
    yield SchedulerSpec(name="quick", order=2, evidence=rows((0.1, 0.1), (0.9, 0.9), (0.1, 0.1)), **spec)
    yield SchedulerSpec(name="exact", order=3, evidence=rows((0.3, 0.01), (0.8, 0.8), (0.3, 0.01)), **spec)
    yield SchedulerSpec(name="strong", order=1, evidence=rows((0.4, 0.4), (0.2, 0.2), (0.4, 0.4)), **spec)
    half = (Evidence("vp", "one", 1.5, ((5, 1e-9),)), Evidence("flow", "three", 3.0, ((5, 0.1),)))
    yield SchedulerSpec(name="half", evidence=half, **spec)

class First(Scheduler):
    def step(self, x, interval, memory, noise):
        denoised = yield interval.start.query(x)
        return denoised.at(interval.end), memory
'''


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    (tmp_path / "measured.py").write_text(MEASURED)
    return Engine(PluginHost(load=("latentry",), plugin_dirs=[PLUGIN, tmp_path / "measured.py"], strict=True))


def prepared(engine: Engine, folder: Path, kind: str = "vp", **options: object) -> Setup:
    model = write_toy(folder / f"model-{kind}", kind=kind)
    return engine.prepare(GenerationRequest(prompt="red", model=str(model), **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("steps", "guidance", "wanted"), [(5, 1.0, "quick"), (9, 2.0, "quick"), (30, 2.0, "exact"), (5, 6.0, "strong")]
)
def test_it_goes_by_steps_and_guidance_and_says_why(
    engine: Engine, tmp_path: Path, steps: int, guidance: float, wanted: str
) -> None:
    setup = prepared(engine, tmp_path, scheduler="best", steps=steps, guidance=guidance)
    assert setup.request.scheduler is not None
    assert setup.request.scheduler.endswith(f":{wanted}")  # and not "half", which was not measured on both
    (note,) = [note for note in setup.notes if "scheduler is" in note]
    assert note.startswith(f"The scheduler is {wanted}. ")
    assert "on one at guidance" in note
    assert "two at guidance 1.5" in note
    assert f"{steps} steps" in note


def test_where_nothing_was_compared_it_is_the_models_own(engine: Engine, tmp_path: Path) -> None:
    setup = prepared(engine, tmp_path, "flow", scheduler="best", steps=5)
    usual = prepared(engine, tmp_path, "flow", steps=5)
    assert setup.request.scheduler == usual.request.scheduler
    assert any("no schedulers were compared on flow" in note for note in setup.notes)


def test_options_are_those_of_the_choice(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="quick"):
        prepared(engine, tmp_path, scheduler="best", steps=5, scheduler_options={"nothing": 1})


def test_few_steps_of_a_first_order_default_carry_a_note(engine: Engine, tmp_path: Path) -> None:
    def told(**options: object) -> list[str]:
        return [note for note in prepared(engine, tmp_path, **options).notes if "comes nearer than" in note]

    (note,) = told(steps=8, guidance=2.0)
    assert "quick comes nearer" in note
    assert told(steps=13, guidance=2.0) == []
    default = prepared(engine, tmp_path, steps=8).request.scheduler
    assert told(steps=8, guidance=2.0, scheduler=default) == []  # who names one has chosen
