"""A plan as numbers does what the scheduler's generators do."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from latentry._numerics._plan import Plan
from latentry._numerics._running._run import Run
from latentry._numerics._running._state import RunState
from latentry._numerics._table._table import NoTable
from latentry.testing._checks._accuracy._arrival import descent
from latentry.testing._networks._drive import answer, finish
from latentry.testing._networks._oracles import SpectrumOracle
from latentry.testing._networks._processes import process
from latentry.testing._result import CheckResult, not_run
from latentry.testing._subject import Case, Subject

ORACLE = SpectrumOracle(16)
STEPS = 5
REPLACED = 2
"""The step before which the sample is replaced."""
SEED = 17
ROUNDING = {torch.float64: 1e-13, torch.float32: 2e-6}
"""What ``Plan.table`` declares of fused steps, relative to the largest value on the way."""


def table(subject: Subject) -> Iterator[CheckResult]:
    """Where a plan is a table, a run that walks it and one of the generators give the same bits: each query, preview,
    sample and state, also when the sample is replaced between steps and when they exchange states after any
    evaluation, within a step too. With the fewest terms (``fused``) they differ by rounding alone, and a run goes on
    from any of its states with the same bits.

    A scheduler that is not linear in its tensors has no table. That is not a fault, and the finding says why.

    Troubleshooting: recording runs ``step`` on symbols that know no shape, dtype or number. A step that keeps
    something outside its memory does not repeat what was recorded.
    """
    if subject.spec.adaptive:
        yield not_run("table", "it chooses its own steps")
        return
    for case in subject.cases:
        for kind in sorted(subject.spec.processes):
            yield _found(case, descent(case, process(kind), STEPS))


def _found(case: Case, plan: Plan) -> CheckResult:
    finding = partial(
        CheckResult, check="table", case=case.label, process=plan.process.kind, declared="the bits of the generators"
    )
    found = plan.table()
    if isinstance(found, NoTable):
        return finding(measured=f"no table: {found.reason}")
    for dtype in (torch.float64, torch.float32):
        fault = _difference(plan, _start(dtype)) or _fused_difference(plan, _start(dtype))
        if fault:
            return finding(measured=f"{str(dtype).removeprefix('torch.')}: {fault}", passed=False)
    return finding(measured="the same bits")


def _difference(plan: Plan, x: Tensor) -> str:
    """The first thing in which the two ways differ; empty if none."""
    by_table, by_generators = (plan.start(x, seed=SEED, table=table) for table in (True, False))
    states: list[tuple[RunState, RunState]] = []
    replaced = False
    while not by_generators.done:
        index = by_generators.index
        if index == REPLACED and not replaced:
            replaced = True
            for run in (by_table, by_generators):
                run.replace(run.sample * 0.5)
        if fault := _evaluated(by_table, by_generators, plan):
            return f"{fault} of step {index + 1}"
        states.append((by_table.state(), by_generators.state()))
        if not _same_state(*states[-1]):
            return f"the state in step {index + 1}"
    if not torch.equal(by_table.sample, by_generators.sample):
        return "the result"
    for number, (walked, generated) in enumerate(states, 1):
        runs = plan.resume(walked, seed=SEED, table=False), plan.resume(generated, seed=SEED)
        if not torch.equal(*(finish(run, ORACLE.answer) for run in runs)):
            return f"the result after states were exchanged after evaluation {number}"
    return ""


def _fused_difference(plan: Plan, x: Tensor) -> str:
    """By how much fused steps differ, if that is more than rounding."""
    fused, generated = (plan.start(x, seed=SEED, table=table) for table in ("fused", False))
    size, off, outputs, states = float(x.abs().max()), 0.0, list[Tensor](), list[RunState]()
    while (query := generated.query) is not None:
        outputs.append(ORACLE.answer(query, plan))
        for run in (fused, generated):
            answer(run, outputs[-1])
        states.append(fused.state())
        size = max(size, float(generated.sample.abs().max()))
        off = max(off, float((fused.sample - generated.sample).abs().max()))
    if off > ROUNDING[x.dtype] * size:
        return f"fused steps are off by {off / size:.1e}"
    for number, state in enumerate(states, 1):
        resumed = plan.resume(state, seed=SEED, table="fused")
        for output in outputs[number:]:
            answer(resumed, output)
        if not torch.equal(resumed.sample, fused.sample):
            return f"the result of fused steps after the state was saved after evaluation {number}"
    return ""


def _evaluated(by_table: Run, by_generators: Run, plan: Plan) -> str:
    """Answers one query of both runs; what they differ in."""
    asked, wanted = by_table.query, by_generators.query
    if asked is None or wanted is None:
        return "the number of queries"
    told = (asked.point, asked.timestep, asked.index, asked.stage)
    if told != (wanted.point, wanted.timestep, wanted.index, wanted.stage) or not torch.equal(asked.x, wanted.x):
        return "a query"
    output = ORACLE.answer(wanted, plan)
    if not torch.equal(by_table.denoise(output).x0, by_generators.denoise(output).x0):
        return "a preview"
    for run in (by_table, by_generators):
        answer(run, output)
    return "" if torch.equal(by_table.sample, by_generators.sample) else "the sample"


def _same_state(one: RunState, other: RunState) -> bool:
    if (one.plan, one.index, one.point, one.tree) != (other.plan, other.index, other.point, other.tree):
        return False
    return all(torch.equal(tensor, other.tensors[name]) for name, tensor in one.tensors.items())


def _start(dtype: torch.dtype) -> Tensor:
    """(2, 16), as standard normal noise might be."""
    return (torch.sin(torch.arange(32, dtype=torch.float64) ** 2).view(2, 16) * 1.4).to(dtype)
