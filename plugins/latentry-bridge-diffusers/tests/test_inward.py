"""diffusers' schedulers as Latentry's: against our own of the same method, which are held to diffusers elsewhere."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import diffusers
import pytest
import torch
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from torch import Tensor

from latentry import (
    EDM,
    Engine,
    Flow,
    GenerationRequest,
    IncompatibleError,
    OptionError,
    Plan,
    PluginHost,
    Prediction,
    Process,
    VariancePreserving,
)
from latentry.names import understand
from latentry.testing import MixtureOracle, drive
from latentry_bridge_diffusers._records import records

HOST, DATA = PluginHost(), MixtureOracle()
PROCESSES: dict[str, Process] = {"vp": VariancePreserving.from_betas(), "flow": Flow(), "edm": EDM()}
PREDICTIONS = {"vp": Prediction.EPSILON, "flow": Prediction.FLOW, "edm": Prediction.EDM}
RECORDS = {spec.name: spec for spec in records()}
USABLE = [(name, kind) for name, spec in RECORDS.items() for kind in sorted(spec.processes)]


def _plan(name: str, kind: str, steps: int = 8, grid: str = "", final: Any = None, **options: Any) -> Plan:
    made = HOST.schedulers.create(name, **options)
    if not grid:
        preference = next(iter(HOST.schedulers[name].sigmas_for(steps, kind)))  # type: ignore[arg-type]
        grid, final = preference.name, preference.final
    schedule = HOST.sigma_schedules.create(grid)
    return made.plan(  # type: ignore[no-any-return]
        steps, process=PROCESSES[kind], prediction=PREDICTIONS[kind], sigmas=schedule, final=final or "zero"
    )


def _peer(name: str) -> str:
    return f"latentry-bridge-diffusers:{name}"


def _ours(name: str, kind: str, steps: int, grid: str) -> Plan:
    """Our own scheduler under the class's name, with the options that make it that."""
    meaning = understand(HOST, RECORDS[name].target.partition(":")[2])
    return _plan(meaning.scheduler, kind, steps, grid, **meaning.options)


def _x(plan: Plan, rows: int = 4) -> Tensor:
    x = torch.randn(rows, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    return x * plan.noise_scale()


@pytest.mark.skipif(diffusers.__version__ != "0.42.1", reason="the data is that of diffusers 0.42.1")
def test_every_class_of_the_installed_diffusers_is_listed() -> None:
    here = {name: getattr(diffusers.schedulers, name, None) for name in dir(diffusers.schedulers)}
    classes = {n for n, c in here.items() if isinstance(c, type) and issubclass(c, SchedulerMixin)} - {"SchedulerMixin"}
    assert {spec.target.partition(":")[2] for spec in RECORDS.values()} == classes
    listed = HOST.schedulers.names(everything=True)
    assert {_peer(name) for name in RECORDS} <= set(listed)
    assert HOST.schedulers["ddim"].target.startswith("latentry_ddim")


@pytest.mark.parametrize(
    ("name", "kind"),
    # each of these two takes twice as long as all others together
    [pytest.param(*each, marks=pytest.mark.slow if each[0].startswith("kdpm2") else ()) for each in USABLE],
)
def test_a_class_runs_as_its_record_says(name: str, kind: str) -> None:
    """On an exact network it arrives at the data: two narrow bumps."""
    spec, plan = RECORDS[name], _plan(_peer(name), kind)
    x = _x(plan)
    ends = [drive(plan, x, DATA.answer, seed=seed) for seed in (1, 2)]
    assert spec.stochastic == (not torch.equal(*ends))
    assert max(plan.evaluations_by_step or ()) <= spec.evaluations
    assert spec.off_grid or plan.off_grid is None
    reference = drive(_plan("ddim", kind, 60, "trailing"), x, DATA.answer)
    assert spec.stochastic or (ends[0] - reference).square().mean().sqrt() < 0.35
    assert ends[0].isfinite().all() and ends[0].abs().max() < 6.0


@pytest.mark.parametrize(
    ("theirs", "kind", "grids"),
    [
        ("ddim", "vp", ("leading", "trailing")),
        ("euler-discrete", "vp", ("leading", "linspace", "karras")),
        ("dpm-solver-multistep", "vp", ("leading", "trailing")),
        ("heun-discrete", "vp", ("leading", "linspace")),
        ("flow-match-euler-discrete", "flow", ("trailing",)),
        ("edm-euler", "edm", ("karras",)),
    ],
)
def test_the_same_method_gives_the_same_numbers(theirs: str, kind: str, grids: tuple[str, ...]) -> None:
    for grid in grids:
        plan, own = _plan(_peer(theirs), kind, 8, grid), _ours(theirs, kind, 8, grid)
        x = _x(plan)
        got, expected = drive(plan, x, DATA.answer), drive(own, x, DATA.answer)
        # their tables are float32, and DPM++ rounds σ to them at both ends of a step
        assert torch.allclose(got, expected, atol=3e-3), (grid, (got - expected).abs().max())


@pytest.mark.parametrize("name", ["ddim", "euler-discrete", "dpm-solver-multistep", "heun-discrete"])
@pytest.mark.parametrize("begin", [1, 5, 9])
def test_a_run_that_begins_late_is_the_rest_of_the_full_grid(name: str, begin: int) -> None:
    plan, own = _plan(_peer(name), "vp", 10, "leading")[begin:], _ours(name, "vp", 10, "leading")[begin:]
    x = 0.7 * torch.randn(2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    assert len(plan.queries or ()) == len(own.queries or ())
    assert torch.allclose(drive(plan, x, DATA.answer), drive(own, x, DATA.answer), atol=2e-2)


def test_runs_share_nothing_and_rows_draw_alone() -> None:
    plan = _plan(_peer("euler-ancestral-discrete"), "vp")
    x = _x(plan)
    expected = drive(plan, x, DATA.answer, seed=3)
    runs = [plan.start(x, seed=3), plan.start(x, seed=3)]
    while not runs[0].done:
        for run in runs:
            assert run.query is not None
            run.advance(DATA.answer(run.query, plan))
    assert all(torch.equal(run.sample, expected) for run in runs)
    alone = plan.start(x[1:2], seed=3, samples=[1])
    while alone.query is not None:
        alone.advance(DATA.answer(alone.query, plan))
    assert torch.allclose(alone.sample, expected[1:2], atol=1e-6)


def test_levels_that_a_class_cannot_lay_out_are_refused() -> None:
    with pytest.raises(IncompatibleError, match="cannot lay out"):
        _ = _plan(_peer("ddim"), "vp", 8, "karras").queries
    with pytest.raises(OptionError):
        HOST.schedulers.create(_peer("ddim"), no_such=1)


@pytest.mark.slow
def test_generate_draws_with_one_and_refuses_what_does_not_fit() -> None:
    engine = Engine(HOST)
    request = GenerationRequest(prompt="a red circle", model="shapes", seed=7, steps=8, sigmas="leading")
    got = engine.generate(request.model_copy(update={"scheduler": _peer("ddim")})).latents
    expected = engine.generate(request.model_copy(update={"scheduler": "ddim"})).latents
    assert torch.allclose(got, expected, atol=2e-3)
    for name in ("flow-match-euler-discrete", "vq-diffusion"):
        with pytest.raises(IncompatibleError, match="noise processes"):
            engine.generate(request.model_copy(update={"scheduler": _peer(name)}))


def test_listing_them_imports_no_diffusers() -> None:
    code = (
        "import sys; from latentry import PluginHost; h = PluginHost(load=('latentry', 'latentry-bridge-diffusers'));"
        "print(len(h.schedulers.names(everything=True)), 'diffusers' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(RECORDS)), "False", "False"]
