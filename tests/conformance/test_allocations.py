"""What a step allocates: tensors of the sample's size, counted while a run walks the table of each scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from latentry import Plan, PluginHost, Prediction
from latentry._numerics._table._record import Recorded, Recording
from latentry._specs import ProcessKind
from latentry.tables import Combine, Evaluate, Guard
from latentry.testing._networks._processes import NATURAL, process

HOST = PluginHost()
STEPS = 8
SAMPLE = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(3))
OUTPUT, NOISE = SAMPLE.flip(0), SAMPLE.flip(1)
GUARD = 4
"""Of a guard: full − first, the squares of that and of x̂₀, and the result."""
Walked = Literal["exact", "fused"]


class Allocations(TorchDispatchMode):
    """Counts the results of operations that are as large as a sample and lie in none of their arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {place(each) for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)}
        result = function(*args, **(kwargs or {}))
        made = (each for each in tree_leaves(result) if isinstance(each, Tensor) and each.numel() >= SAMPLE.numel())
        self.count += sum(place(each) not in given for each in made)
        return result


def place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def plans() -> Iterator[Any]:
    for name, spec in HOST.schedulers.items():
        for kind in sorted(spec.processes) if not spec.adaptive else ():
            for walked in ("exact", "fused"):
                yield pytest.param(name, kind, walked, id=f"{name}-{kind}-{walked}")


def planned(name: str, kind: ProcessKind, prediction: Prediction, **options: Any) -> Plan:
    sigmas = HOST.sigma_schedules.create("karras" if kind == "edm" else "trailing")
    scheduler = HOST.schedulers.create(name, **options)
    return scheduler.plan(STEPS, process=process(kind), prediction=prediction, sigmas=sigmas)


def allocated(plan: Plan, walked: Walked, output: Tensor = OUTPUT) -> dict[int, int]:
    """By step, in ``Run.advance`` and in opening its queries."""
    run = plan.start(SAMPLE.clone(), noise=lambda *_: NOISE, table=True if walked == "exact" else "fused")
    found: dict[int, int] = {}
    while not run.done:
        index = run.index
        with Allocations() as allocations:
            assert run.query is not None
            run.advance(output, uncond=output)
        found[index] = found.get(index, 0) + allocations.count
    return found


def one_for_each_combination(recorded: Recorded) -> int:
    return sum(isinstance(operation, Combine) for operation in recorded.step.operations)


def one_for_each_that_is_held(recorded: Recorded) -> int:
    """By a query, a guard, the memory or as the next sample; but for outputs, which the memory holds as they are."""
    step = recorded.step
    held = {step.result, *recorded.kept}
    for operation in step.operations:
        if isinstance(operation, Evaluate):
            held.add(operation.x)
        elif isinstance(operation, Guard):
            held |= {operation.first, operation.full, operation.denoised}
    outputs = {evaluation.into for evaluation in step.evaluations}
    as_it_is = {
        operation.into
        for operation in step.operations
        if isinstance(operation, Combine)
        and [(share, name in outputs) for share, name in operation.terms] == [(1.0, True)]
    }
    combined = {operation.into for operation in step.operations if isinstance(operation, Combine)}
    return len(combined & held - (as_it_is & recorded.kept - {step.result}))


@pytest.mark.parametrize(("name", "kind", "walked"), list(plans()))
def test_a_step_allocates_what_it_gives_and_keeps(name: str, kind: ProcessKind, walked: Walked) -> None:
    for prediction in {NATURAL[kind], *([Prediction.EPSILON] if kind == "vp" else [])}:
        plan = planned(name, kind, prediction)
        recording = plan.recording if walked == "exact" else plan.fused
        if not isinstance(recording, Recording):
            pytest.skip("it has no table")
        bound = one_for_each_combination if walked == "exact" else one_for_each_that_is_held
        for index, count in allocated(plan, walked).items():
            recorded = recording.steps[index]
            guards = sum(isinstance(operation, Guard) for operation in recorded.step.operations)
            assert count <= bound(recorded) + GUARD * guards, (prediction, index)


@pytest.mark.parametrize(("name", "each"), [("euler", 1), ("ipndm", 1), ("heun", 2), ("dpm2", 2)])
def test_fused_steps_without_a_guard_allocate_their_samples_alone(name: str, each: int) -> None:
    """One for each evaluation: the next query's, or the next step's."""
    found = allocated(planned(name, "vp", Prediction.EPSILON, **({} if name == "euler" else {"guard": False})), "fused")
    assert [found[index] for index in sorted(found)][1:-1] == [each] * (STEPS - 2)


def test_what_is_allocated_is_seen() -> None:
    """An output of another dtype is copied once a step, and so is what a view does not cover."""
    plan = planned("euler", "flow", Prediction.FLOW)
    assert set(allocated(plan, "exact").values()) == {1}
    assert set(allocated(plan, "exact", OUTPUT.half()).values()) == {2}
    with Allocations() as allocations:
        view = SAMPLE.reshape(2, -1)
        view.mean(1)
        view.square().clamp_(0.0)
    assert allocations.count == 1
