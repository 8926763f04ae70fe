"""PromptCache: encoded once, each for itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.toy import write_toy

from latentry import Engine, GenerationRequest, OptionError, PluginHost
from latentry._generate._kept._prompt_cache import PromptCache
from latentry.models import PromptSettings


def request(model: str, **wanted: Any) -> GenerationRequest:
    return GenerationRequest(**({"prompt": "a", "model": model, "seed": 5, "steps": 2} | wanted))


def encoded(engine: Engine, wanted: GenerationRequest) -> list[Any]:
    """What the encoder was asked by a request."""
    loaded: Any = engine.load(engine.prepare(wanted))
    before = len(loaded.encoded)
    engine.generate(wanted)
    asked: list[Any] = loaded.encoded[before:]
    return asked


def test_a_prompt_is_encoded_once_over_batches_and_requests(engine: Engine, model: str) -> None:
    first = encoded(engine, request(model, prompt=("a", "b"), count=3, batch=2))
    assert sorted(prompts for prompts, _ in first) == [("",), ("a",), ("b",)]
    assert encoded(engine, request(model, prompt="b", seed=9, scheduler="noisy", steps=3)) == []
    assert [prompts for prompts, _ in encoded(engine, request(model, prompt="c"))] == [("c",)]


def test_encodings_with_different_settings_are_kept_apart(engine: Engine, model: str) -> None:
    encoded(engine, request(model))
    for wanted in ({"width": 64}, {"height": 64}):
        assert len(encoded(engine, request(model, **wanted))) == 2
    settings = [settings for _, settings in encoded(engine, request(model, width=40, height=48))]
    assert settings == [PromptSettings(40, 48, negative) for negative in (False, True)]
    assert len(encoded(engine, request(model, negative="a"))) == 1  # in another place than the prompt "a"


def test_a_family_that_declares_clip_skips_the_old_way_still_gets_clip_skip(
    engine: Engine, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Families of the first contract declare ``Checkpoint.clip_skips`` and read ``PromptSettings.clip_skip``."""
    checkpoint = type(engine.prepare(request(model)).checkpoint)
    monkeypatch.setattr(checkpoint, "clip_skips", 2, raising=False)
    asked = encoded(engine, request(model, clip_skip=2, guidance=1))
    with pytest.deprecated_call(match=r"use settings\.own"):
        assert [settings.clip_skip for _, settings in asked] == [2]
    assert engine.prepare(request(model)).request.conditioning == {"clip_skip": 0}
    with pytest.raises(OptionError, match="at most 2"):
        engine.prepare(request(model, clip_skip=3))


def test_a_family_without_conditioning_refuses_clip_skip(engine: Engine, model: str) -> None:
    with pytest.raises(OptionError, match="no conditioning options"):
        engine.prepare(request(model, clip_skip=1))


def test_without_guidance_the_negative_prompt_is_not_encoded(engine: Engine, model: str) -> None:
    assert [prompts for prompts, _ in encoded(engine, request(model, guidance=1))] == [("a",)]


def test_another_model_has_prompts_of_its_own(engine: Engine, model: str, tmp_path: Path) -> None:
    assert len(encoded(engine, request(model))) == 2
    assert len(encoded(engine, request(str(write_toy(tmp_path / "other"))))) == 2
    assert len(encoded(engine, request(model))) == 2


def test_the_oldest_prompts_are_let_go(engine: Engine, model: str) -> None:
    loaded: Any = engine.load(engine.prepare(request(model)))
    prompts, settings = PromptCache(loaded, capacity=3), PromptSettings(32, 32)
    for word in "abcadabce":
        prompts(word, settings)
    assert [words for (words,), _ in loaded.encoded] == list("abcdbce")
    kept = len(loaded.encoded)
    for word in "bce":
        prompts(word, settings)
    assert len(loaded.encoded) == kept


@pytest.mark.parametrize("guidance", [1, 3])
def test_prompts_of_any_length_share_a_batch_and_do_not_touch(engine: Engine, model: str, guidance: float) -> None:
    """The toy's network cannot take prompts of different lengths together."""
    prompts = ("a", "a longer one", "b", "an even longer one", "two words")
    wanted = request(model, prompt=prompts, batch=4, guidance=guidance, negative="not this" if guidance > 1 else "")
    many = engine.generate(wanted).latents
    noise = [engine.generate(wanted.model_copy(update={"batch": size})).latents for size in (1, 5)]
    assert all(torch.allclose(many, other, atol=1e-5) for other in noise)


def test_prompts_of_one_length_go_through_together(engine: Engine, model: str) -> None:
    wanted = request(model, prompt=("a", "b c", "d"), guidance=1)
    loaded: Any = engine.load(engine.prepare(wanted))
    loaded.calls.clear()
    engine.generate(wanted)
    assert [rows for rows, _ in loaded.calls] == [2, 1] * 2


def test_the_scale_of_a_distilled_network_is_part_of_the_encoded_prompt(host: PluginHost, tmp_path: Path) -> None:
    engine, model = Engine(host), str(write_toy(tmp_path / "model", variants=["told"]))
    assert [settings.guidance for _, settings in encoded(engine, request(model))] == [3.5]
    assert [settings.guidance for _, settings in encoded(engine, request(model, guidance=2))] == [2.0]
    assert encoded(engine, request(model, guidance=3.5)) == []
