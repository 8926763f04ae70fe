"""Every method on every process, with every kind of scheduler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.guided import by, drawn, sampled
from support.oracles import PROCESSES
from support.toys import First, Greedy, Halving, Heun, Late, Noisy, TwoStep

from latentry import PluginHost, RunState, Scheduler
from latentry._guidance._guidance import ByMethod
from latentry.guidance import ClassifierFree

HOST = PluginHost()
NAMES = sorted(n for n in HOST.guidance if HOST.guidance.provenance(n).distribution == "latentry-guidance")
SCHEDULERS = {
    "first order": First(),
    "two evaluations": Heun(),
    "a memory": TwoStep(),
    "noise before": Noisy(),
    "noise after": Late(),
    "the unguided output": Greedy(),
    "steps of its own": Halving(),
}
ALIKE = ("vp-epsilon", "vp-v", "vp-x0")


def guidance(name: str, kind: str = "vp-v", scheduler: str | Scheduler = "first order") -> ByMethod:
    spec = HOST.guidance[name]
    scale = 3.0 if spec.guidance is None else spec.guidance
    return by(
        HOST.guidance.create(name),
        scale=scale,
        kind=kind,
        scheduler=SCHEDULERS[scheduler] if isinstance(scheduler, str) else scheduler,
        neutral=spec.neutral,
        asks=spec.branches | spec.scaled_branches,
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(PROCESSES))
@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("name", NAMES)
def test_a_picture_does_not_depend_on_its_company(name: str, scheduler: str, kind: str) -> None:
    """Three at once against one at a time, on each process; it differs from plain guidance, and is finite."""
    chosen = guidance(name, kind, scheduler)
    x = chosen.plan.points[0].sigma * drawn(1, 3, 4, 8, 8)
    alone = sampled(chosen, x[:1])[0].sample
    assert torch.isfinite(alone).all()
    plain = sampled(by(ClassifierFree(), kind=kind, scheduler=SCHEDULERS[scheduler]), x[:1])[0].sample
    assert not torch.allclose(alone, plain, atol=1e-3)
    if not chosen.plan.scheduler.adaptive:  # those take one sample at a time
        together = sampled(chosen, x)[0].sample
        assert torch.allclose(together[:1], alone, atol=1e-9)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("name", NAMES)
def test_it_works_on_the_same_thing_whatever_the_network_predicts(name: str, scheduler: str) -> None:
    x = drawn(2, 1, 4, 8, 8)
    ends = [sampled(guidance(name, kind, scheduler), x)[0].sample for kind in ALIKE]
    assert torch.allclose(ends[1], ends[0], atol=1e-7)
    assert torch.allclose(ends[2], ends[0], atol=1e-7)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("done", [1, 4])
@pytest.mark.parametrize("name", NAMES)
def test_a_run_goes_on_from_its_saved_state(name: str, done: int, scheduler: str, tmp_path: Path) -> None:
    chosen, x = guidance(name, scheduler=scheduler), drawn(3, 1, 4, 8, 8)
    run, memory, _ = sampled(chosen, x, stop=done)
    run.state().save(tmp_path / "run")
    chosen.state(memory, run.index).save(tmp_path / "guidance")
    saved = RunState.load(tmp_path / "run"), RunState.load(tmp_path / "guidance")
    assert torch.equal(sampled(chosen, x, state=saved)[0].sample, sampled(chosen, x)[0].sample)


@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_the_dtype_writes_nothing_in_place_and_waits_for_no_device(name: str) -> None:
    chosen = guidance(name, "flow")
    for dtype in (torch.float32, torch.float64):
        x = drawn(4, 2, 4, 8, 8).to(dtype)
        before = x.clone()
        assert sampled(chosen, x)[0].sample.dtype == dtype
        assert torch.equal(x, before)
    on_meta: Any = torch.empty(2, 4, 8, 8, device="meta")
    assert sampled(chosen, on_meta)[0].sample.shape == on_meta.shape  # any read of a value raises there


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", sorted(HOST.schedulers))
def test_every_scheduler_can_be_guided_by_every_method(scheduler: str) -> None:
    """Alone as in company, and to the same bits from where it was left."""
    spec = HOST.schedulers[scheduler]
    kind = "vp-v" if "vp" in spec.processes else "flow"
    for name in NAMES:
        chosen = guidance(name, kind, HOST.schedulers.create(scheduler))
        x = chosen.plan.points[0].sigma * drawn(5, 2, 2, 8, 8)
        rows = x[:1] if chosen.plan.scheduler.adaptive else x
        whole = sampled(chosen, rows)[0].sample
        assert torch.isfinite(whole).all(), name
        run, memory, _ = sampled(chosen, rows, stop=3)
        state = run.state(), chosen.state(memory, run.index)
        assert torch.equal(sampled(chosen, rows, state=state)[0].sample, whole), name
        assert torch.allclose(sampled(chosen, x[:1])[0].sample, whole[:1], atol=1e-7), name
