"""An engine keeps plans, so that a request like an earlier one records no table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from support.oracles import SD, ZTSNR
from support.toys import First, Heun

from latentry import Engine, GenerationRequest, Plan, Prediction
from latentry._generate._kept._plans import MOST, KeptPlans

LEVELS = (5.0, 1.0)


def planned(*levels: float, process: Any = SD, scheduler: Any = None) -> Plan:
    return (scheduler or First()).plan(process=process, prediction=Prediction.V, sigmas=levels or LEVELS)


def test_an_equal_plan_is_the_kept_one() -> None:
    keep, first = KeptPlans(), planned()
    assert keep(first) is first
    assert keep(planned()) is first
    assert keep(planned(5.0, 2.0)) is not first
    assert keep(planned(scheduler=Heun())) is not first


def test_a_plan_of_another_process_or_with_hooks_is_another() -> None:
    """Both have the fingerprint of the first."""
    keep, first = KeptPlans(), planned()
    keep(first)
    other = replace(first, process=ZTSNR)
    assert other.fingerprint == first.fingerprint
    assert keep(other) is other
    hooked = replace(first, hooks=(lambda denoised: denoised,))
    assert keep(hooked) is hooked
    assert keep(planned()) is not hooked


def test_the_oldest_is_let_go() -> None:
    keep = KeptPlans()
    first = keep(planned(9.0))
    for i in range(MOST - 1):
        keep(planned(8.0 - i / 10))
    assert keep(planned(9.0)) is first
    for i in range(MOST):
        keep(planned(5.0 - i / 10))
    assert keep(planned(9.0)) is not first


def test_two_requests_of_an_engine_share_a_table(engine: Engine, model: str) -> None:
    request = GenerationRequest(prompt="a circle", model=model, steps=3)
    first, second = engine.prepare(request), engine.prepare(request.model_copy(update={"prompt": "two", "seed": 5}))
    assert second.plan is first.plan
    assert second.plan.recording is first.plan.recording
    other = engine.prepare(request.model_copy(update={"steps": 4}))
    assert other.plan is not first.plan
