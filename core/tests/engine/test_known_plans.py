"""Equal plans are laid out once, and only equal ones are taken for one another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.toy import write_toy

from latentry import Engine, GenerationRequest, PluginHost
from latentry._resolve import _lately
from latentry._resolve._deciding import _laying_out
from latentry._resolve._plan import lay_out
from latentry._resolve._useless._idle_options import Idle


@pytest.fixture
def laid_out(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps of each plan that was laid out, without those of ``find_idle``."""
    found: list[int] = []

    def counted(chosen: Any, sigmas: Any, noise: Any, counts: Any, located: Any) -> Any:
        found.append(counts.laid_out)
        return lay_out(chosen, sigmas, noise, counts, located)

    monkeypatch.setattr(_laying_out, "lay_out", counted)
    monkeypatch.setattr(_laying_out, "find_idle", lambda *_: Idle())
    return found


def request(model: str, **wanted: Any) -> GenerationRequest:
    return GenerationRequest(
        **({"prompt": "a", "model": model, "steps": 4, "scheduler": "two-stage", "sigmas": "karras"} | wanted)
    )


def test_an_equal_plan_is_laid_out_once(engine: Engine, model: str, laid_out: list[int]) -> None:
    first = engine.prepare(request(model))
    again = engine.prepare(request(model, prompt="b", seed=3, guidance=4.0))
    assert laid_out == [4]
    assert again.plan == first.plan


@pytest.mark.parametrize(
    "other",
    [
        {"steps": 5},
        {"scheduler": "first"},
        {"sigmas": "exponential"},
        {"sigma_options": {"rho": 3.0}},
        {"sigmas": (9.0, 4.0, 1.0, 0.3)},
        {"final": "table"},
    ],
)
def test_another_one_is_what_a_new_engine_lays_out(
    host: PluginHost, engine: Engine, model: str, laid_out: list[int], other: dict[str, Any]
) -> None:
    engine.prepare(request(model))
    found = engine.prepare(request(model, **other))
    assert len(laid_out) == 2
    assert found.plan == Engine(host).prepare(request(model, **other)).plan


def test_another_process_has_its_own(
    host: PluginHost, engine: Engine, model: str, tmp_path: Path, laid_out: list[int]
) -> None:
    flow = str(write_toy(tmp_path / "flow", kind="flow"))
    found = [engine.prepare(request(each, sigmas="exponential")).plan.process.kind for each in (model, flow, model)]
    assert found[0] == found[2] != found[1]


def test_the_oldest_is_forgotten(
    monkeypatch: pytest.MonkeyPatch, engine: Engine, model: str, laid_out: list[int]
) -> None:
    monkeypatch.setattr(_lately, "CAPACITY", 2)
    for steps in (3, 4, 5, 4, 3):
        engine.prepare(request(model, steps=steps))
    assert laid_out == [3, 4, 5, 3]
