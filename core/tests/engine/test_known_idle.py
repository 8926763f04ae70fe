"""Options without effect are looked for once for requests of one kind, and found in each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from latentry import Engine, GenerationRequest, OptionError, PluginHost
from latentry._resolve import _lately
from latentry._resolve._deciding import _laying_out


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was tried."""
    found: list[Any] = []
    original: Callable[..., Any] = _laying_out.find_idle

    def counted(chosen: Any, *rest: Any) -> Any:
        found.append(chosen.scheduler)
        return original(chosen, *rest)

    monkeypatch.setattr(_laying_out, "find_idle", counted)
    return found


def request(model: str, **wanted: Any) -> GenerationRequest:
    return GenerationRequest(**({"prompt": "a", "model": model, "steps": 4, "scheduler": "two-stage"} | wanted))


def test_requests_of_one_kind_are_tried_once(engine: Engine, model: str, tries: list[Any]) -> None:
    first = engine.prepare(request(model))
    again = engine.prepare(request(model, prompt="b", seed=3, guidance=4.0))
    assert len(tries) == 1
    assert (again.request.scheduler_options, again.request.sigma_options) == (
        first.request.scheduler_options,
        first.request.sigma_options,
    )
    end = {"final": "zero" if first.request.final == "table" else "table"}
    for other in ({"steps": 5}, {"scheduler": "first"}, {"sigmas": "karras"}, end):
        tries.clear()
        engine.prepare(request(model, **other))
        assert len(tries) == 1, other


def test_each_is_refused_though_the_first_was_tried(engine: Engine, model: str, tries: list[Any]) -> None:
    useless = request(model, sigmas="karras", sigma_options={"rho": 3.0}, steps=1)
    for _ in range(2):
        with pytest.raises(OptionError, match="rho"):
            engine.prepare(useless)
    assert len(tries) == 1


def test_two_engines_know_nothing_of_each_other(host: PluginHost, model: str, tries: list[Any]) -> None:
    for _ in range(2):
        Engine(host).prepare(request(model))
    assert len(tries) == 2


def test_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch, engine: Engine, model: str, tries: list[Any]) -> None:
    monkeypatch.setattr(_lately, "CAPACITY", 2)
    for steps in (3, 4, 5, 4, 3):
        engine.prepare(request(model, steps=steps))
    assert len(tries) == 4
