"""Plan files: written, read, refused, and run by the loops of ``docs/plan-files.md``."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.oracles import PROCESSES, SD, ZTSNR, noise
from support.toys import First, Greedy, Guarded, Heun, Late, Noisy, TwoStep
from torch import Tensor

from latentry import EDM, Flow, IncompatibleError, KeyedNoise, OptionError, Plan, Prediction, Process, Run, Scheduler
from latentry.solvers import DynamicThreshold
from latentry.tables import MadeFor, PlanFile, Table, formulas

PAGE = Path(__file__).parents[3] / "docs" / "plan-files.md"
LINEAR = [First, Heun, TwoStep, Noisy, Late, Guarded]


def planned(scheduler: Scheduler, process: Process = SD, prediction: Prediction = Prediction.V) -> Plan:
    levels = (1.0, 0.7, 0.3) if process.kind == "flow" else (14.0, 5.0, 1.0, 0.3)
    return scheduler.plan(process=process, prediction=prediction, sigmas=levels)


def file_of(plan: Plan) -> PlanFile:
    table = plan.table()
    assert isinstance(table, Table)
    return PlanFile(table, {"scheduler": "toy"})


def network(x: Any, timestep: float) -> Any:
    """Any function will do; this one is the same in torch and in NumPy."""
    return (x - 0.3 * x * x / (1.0 + x * x)) * 0.7 + timestep / 3000.0


def finish(run: Run) -> Tensor:
    while (query := run.query) is not None:
        output = network(query.input, query.timestep)
        run.advance(output, uncond=output * 0.9)
    return run.sample


def code(language: str, number: int = 0) -> str:
    return str(re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)[number])


@pytest.mark.slow
@pytest.mark.parametrize("name", PROCESSES)
@pytest.mark.parametrize("make", [*LINEAR, Greedy], ids=lambda make: make.__name__)
def test_a_file_read_again_gives_the_bits_of_its_plan(make: Callable[[], Scheduler], name: str) -> None:
    plan = planned(make(), *PROCESSES[name])
    written = file_of(plan).to_json()
    read = PlanFile.from_json(written)
    assert read.table == plan.table()
    assert read.made_by == {"scheduler": "toy"}
    assert read.to_json() == written
    followed = read.plan(plan.process, plan.prediction)
    assert len(followed) == len(plan)
    assert followed.queries == plan.queries
    for dtype in (torch.float32, torch.float64):
        x = noise(2, 3).to(dtype)
        wanted = finish(plan.start(x, seed=5))
        assert torch.equal(finish(followed.start(x, seed=5)), wanted)
        assert torch.equal(finish(followed.start(x, seed=5, table=False)), wanted)


def test_what_a_plan_was_made_for_is_in_its_file() -> None:
    plain = file_of(planned(First()))
    key = MadeFor(model="0123456789abcdef", guidance=(1.5, 6.0))
    keyed = replace(plain, made_for=key)
    assert "made_for" not in plain.to_json()
    assert PlanFile.from_json(keyed.to_json()).made_for == key
    assert (keyed.digest, len(keyed)) == (plain.digest, len(plain.table.steps))
    assert [key.suits(scale) for scale in (1.4, 1.5, 6.0, 6.1)] == [False, True, True, False]
    with pytest.raises(OptionError, match="made_for"):
        PlanFile.from_json(plain.to_json().replace('"process"', '"made_for": {"model": 3}, "process"', 1))


def test_a_run_of_a_file_is_saved_and_resumed() -> None:
    plan = planned(TwoStep())
    followed = file_of(plan).plan(SD, Prediction.V)
    run = followed.start(noise(2, 3))
    wanted = finish(followed.start(noise(2, 3)))
    while (query := run.query) is not None:
        run.advance(network(query.input, query.timestep))
        again = PlanFile.from_json(file_of(plan).to_json()).plan(SD, Prediction.V)
        assert torch.equal(finish(again.resume(run.state())), wanted)
    with pytest.raises(IncompatibleError, match="another plan"):
        file_of(planned(Heun())).plan(SD, Prediction.V).resume(run.state())


@pytest.mark.parametrize("make", LINEAR, ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", PROCESSES)
def test_the_numpy_loop_of_the_page(make: Callable[[], Scheduler], name: str) -> None:
    plan = planned(make(), *PROCESSES[name])
    source = code("python")
    assert len(source.splitlines()) <= 15
    scope: dict[str, Any] = {"np": np}
    exec(source + code("python", 1), scope)
    x, keyed = noise(2, 3), KeyedNoise(5, (0, 1))

    def draw(index: int, number: int) -> Any:
        return keyed(x, index, number).numpy()

    loaded = json.loads(file_of(plan).to_json())
    result = scope["sample"](loaded, x.numpy(), network, draw, scope["guard"])
    wanted = finish(plan.start(x, seed=5)).numpy()
    np.testing.assert_allclose(result, wanted, rtol=0.0, atol=1e-12 * np.abs(x.numpy()).max())


JAVASCRIPT = """
const fs = require("fs");
const { plan, x, draws } = JSON.parse(fs.readFileSync(0, "utf-8"));
const network = (a, t) => a.map((v) => (v - 0.3 * v * v / (1.0 + v * v)) * 0.7 + t / 3000.0);
console.log(JSON.stringify(sample(plan, x, network, (index, number) => draws[index + "/" + number])));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
@pytest.mark.parametrize("make", [Heun, TwoStep, Noisy, Guarded], ids=lambda make: make.__name__)
def test_the_javascript_loop_of_the_page(make: Callable[[], Scheduler], tmp_path: Path) -> None:
    plan = planned(make())
    x, keyed = noise(1, 5), KeyedNoise(5)
    draws = {f"{i}/{n}": keyed(x, i, n).flatten().tolist() for i in range(len(plan)) for n in range(2)}
    program = tmp_path / "sample.js"
    program.write_text(code("javascript") + JAVASCRIPT, encoding="utf-8")
    given = {"plan": json.loads(file_of(plan).to_json()), "x": x.flatten().tolist(), "draws": draws}
    done = subprocess.run(
        ["node", str(program)], input=json.dumps(given), capture_output=True, text=True, check=True, timeout=60
    )
    wanted = finish(plan.start(x, seed=5)).flatten().numpy()
    np.testing.assert_allclose(json.loads(done.stdout), wanted, rtol=0.0, atol=1e-12 * float(x.abs().max()))


def test_the_first_sample_is_the_noise_times_what_the_file_says() -> None:
    for process, prediction in PROCESSES.values():
        plan = planned(First(), process, prediction)
        assert json.loads(file_of(plan).to_json())["initial_noise"] == plan.noise_scale()


def damaged(change: Callable[[Any], None]) -> str:
    content = json.loads(file_of(planned(Late())).to_json())
    change(content)
    return json.dumps(content)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda c: c.update(format="other"), "format"),
        (lambda c: c.update(version=2), "Its version is 2"),
        (lambda c: c.update(guard=0.5), "guard"),
        (lambda c: c.pop("prediction"), "prediction"),
        (
            lambda c: c["steps"][0]["do"].append({"clip": 1.0, "into": "y"}),
            "is not an operation that this version knows",
        ),
        (lambda c: c["steps"][0]["do"].append({"guard": {"kappa": 0.0}, "into": "y"}), "guard"),
        (lambda c: c["steps"][0]["do"][0].update(evaluate="z9"), "'z9' is used in step 0 and not made before"),
        (lambda c: c["steps"][1]["do"][-1].update(into="x0"), "'x0' is made twice|not made before"),
        (lambda c: c["steps"][1].update(index=0), "out of order"),
        (lambda c: c["steps"][3].update(index=9), "out of order"),
        (lambda c: c["steps"][0].update(do=[], result="x0", drop=[]), "has no evaluation"),
        (lambda c: c["steps"][0].update(result="gone"), "'gone' is used in step 0"),
        (lambda c: c["steps"][0]["do"][0].update(scale=2.0), "scale"),
        (lambda c: c["steps"][0]["do"][-1].update(combine=[["NaN", "x0"]]), "combine"),
        (lambda c: c.update(levels=[]), "levels"),
    ],
)
def test_a_file_that_cannot_be_followed_says_why(change: Callable[[Any], None], why: str) -> None:
    with pytest.raises(OptionError) as raised:
        PlanFile.from_json(damaged(change))
    assert "is not a plan file that this version can read" in raised.value.what
    assert re.search(why, raised.value.why)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "\x89PNG", '{"format": "latentry-plan"}'])
def test_text_that_is_not_a_plan_file(text: str) -> None:
    with pytest.raises(OptionError, match="not a plan file"):
        PlanFile.from_json(text)


@pytest.mark.parametrize(
    ("process", "prediction", "what"),
    [
        (SD, Prediction.EPSILON, "another kind of model"),
        (Flow(), Prediction.V, "another kind of model"),
        (EDM(), Prediction.EDM, "another kind of model"),
        (ZTSNR, Prediction.V, "another noise process"),
    ],
)
def test_a_file_for_another_model_is_refused(process: Process, prediction: Prediction, what: str) -> None:
    with pytest.raises(IncompatibleError, match=what):
        file_of(planned(First())).plan(process, prediction)


def test_answers_that_are_not_the_networks_own_are_refused() -> None:
    followed = file_of(planned(First())).plan(SD, Prediction.V)
    run = followed.start(noise(1, 3))
    assert run.query is not None
    with pytest.raises(IncompatibleError, match="step cache"):
        run.advance(run.query.x, real=False)
    hooked = replace(followed, hooks=(DynamicThreshold(),)).start(noise(1, 3))
    assert hooked.query is not None
    with pytest.raises(IncompatibleError, match="hooks"):
        hooked.advance(hooked.query.x)


def test_numbers_that_differ_have_another_digest_and_their_makers_do_not() -> None:
    first = file_of(planned(First()))
    assert replace(first, made_by={}).digest == first.digest
    assert file_of(planned(Heun())).digest != first.digest


def test_formulas_say_what_is_computed() -> None:
    plan = First().plan(process=Flow(), prediction=Prediction.FLOW, sigmas=(1.0, 0.5))
    lines = list(formulas(file_of(plan).table))
    assert lines == [
        "step 1: σ/α ∞ to 1",
        "  out0.0 = network(x0, t = 1000)",
        "  row0.0 = x0 − 0.5·out0.0",
        "  x1 = row0.0",
        "step 2: σ/α 1 to 0",
        "  out1.0 = network(x1, t = 500)",
        "  row1.1 = x1 − 0.5·out1.0",
        "  x2 = row1.1",
    ]
