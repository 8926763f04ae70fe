"""The same inputs give the same bits: run again, in another batch, in other threads, and after a pause."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from latentry._numerics._plan import Plan
from latentry._numerics._running._state import RunState
from latentry.testing._checks._accuracy._arrival import descent
from latentry.testing._networks._drive import answer, drive, finish, start
from latentry.testing._networks._oracles import SpectrumOracle
from latentry.testing._networks._processes import process
from latentry.testing._result import CheckResult
from latentry.testing._subject import Case, Subject

ROWS, MODES = 5, 64
ORACLE = SpectrumOracle(MODES)
SEED = 11


def determinism(subject: Subject) -> Iterator[CheckResult]:
    """One plan run twice, and in four threads at once, gives the same bits.

    Troubleshooting: randomness comes from ``noise()`` alone, and nothing is kept in the scheduler or its module.
    """
    for case in subject.cases:
        plan, x = _plan(subject, case), _start()
        wanted = drive(plan, x, ORACLE.answer, seed=SEED)
        again = drive(plan, x, ORACLE.answer, seed=SEED)
        with ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(drive, plan, x, ORACLE.answer, seed=SEED) for _ in range(4)]
        results = {"again": [again], "in threads": [job.result() for job in jobs]}
        yield _same("determinism", case, "the same bits each time", wanted, results)


def batch(subject: Subject) -> Iterator[CheckResult]:
    """A sample's result does not depend on what else is in the batch, nor on its place there.

    Troubleshooting: nothing in a step may be a mean, a maximum or a quantile over the first dimension.
    """
    for case in subject.cases:
        plan, x = _plan(subject, case), _start()
        wanted = drive(plan, x, ORACLE.answer, seed=SEED)
        alone = [_some(plan, x, [i]) for i in range(ROWS)]
        order = [3, 0, 4, 1, 2]
        permuted = _some(plan, x, order)[torch.tensor(order).argsort()]
        results = {"alone": [torch.cat(alone)], "permuted": [permuted]}
        yield _same("batch", case, "the same bits in any batch", wanted, results)


def resume(subject: Subject) -> Iterator[CheckResult]:
    """A run saved after any evaluation, inside a step too, goes on to the same bits; once by way of a file.

    Troubleshooting: all that a later step needs must be in ``Memory``, a NamedTuple of tensors, points, nodes, tuples
    and plain values; nothing may be kept in the scheduler.
    """
    for case in subject.cases:
        plan, x = _plan(subject, case), _start()[: 1 if subject.spec.adaptive else 2]
        run = plan.start(x, seed=SEED, table=False)
        states: list[RunState] = []
        while (query := run.query) is not None:
            answer(run, ORACLE.answer(query, plan))
            states.append(run.state())
        states[len(states) // 2] = _through_file(states[len(states) // 2])
        results = {f"saved after evaluation {i + 1}": [_resumed(plan, state)] for i, state in enumerate(states)}
        yield _same("resume", case, f"the same bits after {len(states)} pauses", run.sample, results)


def _same(check: str, case: Case, declared: str, wanted: Tensor, results: dict[str, list[Tensor]]) -> CheckResult:
    finding = partial(CheckResult, check=check, case=case.label, declared=declared)
    for name, tensors in results.items():
        off = max(float((tensor - wanted).abs().max()) for tensor in tensors)
        if not all(torch.equal(tensor, wanted) for tensor in tensors):
            return finding(measured=f"{name}: off by {off:.1e}", passed=False)
    return finding(measured="the same bits")


def _plan(subject: Subject, case: Case) -> Plan:
    return descent(case, process(min(subject.spec.processes, key=["vp", "edm", "flow"].index)), 5)


def _start() -> Tensor:
    """(5, 64), as standard normal noise might be."""
    return torch.sin(torch.arange(ROWS * MODES, dtype=torch.float64) ** 2).view(ROWS, MODES) * 1.4


def _some(plan: Plan, x: Tensor, rows: list[int]) -> Tensor:
    return torch.cat([finish(run, ORACLE.answer) for run in start(plan, x[rows], seed=SEED, samples=rows)])


def _resumed(plan: Plan, state: RunState) -> Tensor:
    return finish(plan.resume(state, seed=SEED, table=False), ORACLE.answer)


def _through_file(state: RunState) -> RunState:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.safetensors"
        state.save(path)
        return RunState.load(path)
