"""Models in memory: a budget, who goes first, and who stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.toy import write_toy
from torch import nn

from latentry import Engine, GenerationRequest, PluginHost, UnknownName

SIZE = 4 * 1000
"""Bytes of each model here."""


@pytest.fixture
def models(tmp_path: Path) -> list[str]:
    return [str(write_toy(tmp_path / name)) for name in "abcde"]


@pytest.fixture(autouse=True)
def _with_weights(host: PluginHost, models: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Toys have no weights; here they have."""
    checkpoint: Any = type(Engine(host).prepare(request(models[0])).checkpoint)
    load = checkpoint.load

    def weighing(*given: Any) -> Any:
        model = load(*given)
        model.networks["unet"] = nn.Linear(1000, 1, bias=False)
        model.networks["again"] = model.networks["unet"]  # counted once
        return model

    monkeypatch.setattr(checkpoint, "load", weighing)


def request(model: str) -> GenerationRequest:
    return GenerationRequest(prompt="a", model=model, steps=2, seed=1)


def names(engine: Engine) -> list[str]:
    return [Path(each.name).name for each in engine.loaded()]


def test_models_in_turn_are_loaded_once_where_they_fit(host: PluginHost, models: list[str]) -> None:
    engine = Engine(host, budget=5 * SIZE)
    first = [engine.load(engine.prepare(request(model))) for model in models]
    assert [engine.load(engine.prepare(request(model))) for model in models] == first
    assert [(each.bytes, each.device, each.dtype, each.pinned, each.used) for each in engine.loaded()] == [
        (SIZE, "cpu", "float32", False, 0)
    ] * 5


def test_the_one_that_was_not_used_for_longest_goes_first(host: PluginHost, models: list[str]) -> None:
    engine = Engine(host, budget=3 * SIZE)
    for model in models[:3]:
        engine.generate(request(model))
    engine.submit(request(models[0])).result(60)
    engine.generate(request(models[3]))
    assert names(engine) == ["c", "a", "d"]


def test_without_a_budget_the_last_requests_model_is_kept(engine: Engine, models: list[str]) -> None:
    for model in models:
        engine.generate(request(model))
        assert names(engine) == [Path(model).name]


def test_a_model_in_use_stays_though_it_exceeds_the_budget(host: PluginHost, models: list[str]) -> None:
    engine = Engine(host, budget=SIZE)
    seen: list[list[str]] = []

    def ask(event: Any) -> None:
        if event.stage == "sample" and event.done == 1:
            engine.load(engine.prepare(request(models[1])))
            seen.append(names(engine))
            assert [each.used for each in engine.loaded()] == [1, 0]

    engine.generate(request(models[0]), progress=ask)
    assert seen == [["a", "b"]]
    assert names(engine) == ["b"]


def test_a_pinned_model_stays_until_it_is_not(host: PluginHost, models: list[str]) -> None:
    engine = Engine(host, budget=SIZE)
    name = engine.prepare(request(models[0])).located.name
    engine.pin(name)
    for model in models[:3]:
        engine.generate(request(model))
    assert names(engine) == ["a", "c"]
    assert [each.pinned for each in engine.loaded()] == [True, False]
    engine.pin(name, pinned=False)
    engine.generate(request(models[3]))
    assert names(engine) == ["d"]


def test_a_model_can_be_unloaded_and_what_is_not_there_cannot(host: PluginHost, models: list[str]) -> None:
    engine = Engine(host, budget=5 * SIZE)
    before = engine.generate(request(models[0])).latents
    name = engine.loaded()[0].name
    assert engine.unload(name) == SIZE
    assert engine.loaded() == ()
    with pytest.raises(UnknownName, match="not in memory"):
        engine.unload(name)
    assert torch.equal(engine.generate(request(models[0])).latents, before)


def test_unloading_a_model_in_use_does_not_disturb_its_request(host: PluginHost, models: list[str]) -> None:
    engine = Engine(host, budget=5 * SIZE)
    meant = engine.generate(request(models[0])).latents
    name = engine.loaded()[0].name
    found = engine.generate(
        request(models[0]), progress=lambda event: engine.unload(name) if event.stage == "decode" else None
    )
    assert torch.equal(found.latents, meant)
    assert engine.loaded() == ()
