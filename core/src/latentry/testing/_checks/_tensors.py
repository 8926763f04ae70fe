"""How a step treats its tensors: dtypes, host synchronisation, and writing in place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from latentry._errors import PluginError
from latentry._numerics._denoised import Denoised
from latentry._numerics._plan import Plan
from latentry.testing._checks._accuracy._arrival import descent
from latentry.testing._networks._drive import answer, drive
from latentry.testing._networks._oracles import SpectrumOracle
from latentry.testing._networks._processes import process
from latentry.testing._result import CheckResult, not_run
from latentry.testing._subject import Case, Subject

ORACLE = SpectrumOracle(16)
TYPES = {
    torch.float64: torch.float64,
    torch.float32: torch.float32,
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
}
"""A sample's dtype, and the dtype it has in the loop."""


def dtypes(subject: Subject) -> Iterator[CheckResult]:
    """Samples are float32 or float64 throughout, whatever the network emits; half-precision answers stay finite.

    Troubleshooting: make no tensor without ``like`` or ``new_*``, and keep coefficients as host floats.
    """
    for case in subject.cases:
        faults = [fault for given, kept in TYPES.items() if (fault := _type_fault(subject, case, given, kept))]
        declared = "float64 stays, the rest is float32, all finite"
        measured = "; ".join(faults) or "as declared"
        yield CheckResult(check="dtypes", case=case.label, declared=declared, measured=measured, passed=not faults)


def _type_fault(subject: Subject, case: Case, given: torch.dtype, kept: torch.dtype) -> str:
    name = str(given).removeprefix("torch.")
    plan = _plan(subject, case)
    run = plan.start(_start(plan).to(given), table=False)
    while (query := run.query) is not None:
        if query.x.dtype != kept:
            return f"{name}: a query is {query.x.dtype}"
        answer(run, ORACLE.answer(query, plan).to(given))
    if run.sample.dtype != kept:
        return f"{name}: the result is {run.sample.dtype}"
    return "" if run.sample.isfinite().all() else f"{name}: not finite"


def host_sync(subject: Subject) -> Iterator[CheckResult]:
    """A run never waits for the device: it works on meta tensors, which have no values.

    Troubleshooting: ``.item()``, ``float(tensor)``, ``bool(tensor)`` and branches on tensors stop the device; decide
    on the levels, which are host floats.
    """
    if subject.spec.adaptive:
        yield not_run("host_sync", "it reads its error on the host in every step")
        return
    for case in subject.cases:
        plan, x = _plan(subject, case), torch.empty(2, 16, device="meta")
        try:
            end = drive(plan, x, lambda query, _: torch.empty_like(query.x))
            fault = "" if end.device.type == "meta" else f"the result is on {end.device}"
        except PluginError as error:
            fault = error.why.splitlines()[0]
        declared = "runs without values"
        yield CheckResult(
            check="host_sync", case=case.label, declared=declared, measured=fault or "as declared", passed=not fault
        )


def in_place(subject: Subject) -> Iterator[CheckResult]:
    """A step writes into nothing it is given: the sample, its memory, x of a query, the network's output.

    Its memory does not hold the output itself either: a network may reuse that buffer in the next step.

    Troubleshooting: ``add_`` and its like belong on tensors that the step has made itself, such as ``combine``'s.
    """
    for case in subject.cases:
        written = sorted(_written(_plan(subject, case)))
        yield CheckResult(
            check="in_place",
            case=case.label,
            declared="nothing is written into",
            measured=f"written into: {', '.join(written)}" if written else "unchanged",
            passed=not written,
        )


def _written(plan: Plan) -> set[str]:
    """What a run changed: every tensor it was given is compared with a copy made beforehand."""
    start = _start(plan)
    run = plan.start(start, table=False)
    watched = {"the start": [(start, start.clone())]}
    changed: set[str] = set()
    while (query := run.query) is not None:
        index, output = run.index, ORACLE.answer(query, plan)
        given = {
            "the sample": [run.sample],
            "x of a query": [query.x],
            "the network's output": [output],
            "memory": list(_tensors(run._memory)),
        }
        for name, tensors in given.items():
            watched.setdefault(name, []).extend((tensor, tensor.clone()) for tensor in tensors)
        answer(run, output)
        changed |= {name for name, pairs in watched.items() if not all(torch.equal(a, b) for a, b in pairs)}
        if _shared(run._memory, output):
            changed.add("memory, when the network's buffer is used again")
        if run.index > index:
            watched = {"the start": watched["the start"]}
    return changed


def _shared(memory: Any, output: Tensor) -> bool:
    places = {tensor.untyped_storage().data_ptr() for tensor in _tensors(memory)}
    return output.untyped_storage().data_ptr() in places


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, Denoised):
        yield value.output


def _plan(subject: Subject, case: Case) -> Plan:
    return descent(case, process(min(subject.spec.processes, key=["vp", "edm", "flow"].index)), 6)


def _start(plan: Plan) -> Tensor:
    """(2, 16), or one row for an adaptive scheduler, as standard normal noise might be."""
    rows = torch.sin(torch.arange(32, dtype=torch.float64) ** 2).view(2, 16) * 1.4
    return rows[:1] if plan.scheduler.adaptive else rows
