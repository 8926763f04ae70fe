"""A request's LoRAs: checked before anything is loaded, applied while it runs, and part of what is cached."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from support.toy import write_toy

from latentry import (
    Engine,
    GenerationRequest,
    IncompatibleError,
    LatentryError,
    LoraRequest,
    OptionError,
    PluginHost,
    ProgressEvent,
    Recipe,
    RecipeError,
)

THREADS = 8


def write_lora(folder: Path, name: str = "ink", parts: tuple[str, ...] = ("unet",), **about: Any) -> str:
    """A LoRA of the toy model."""
    file = folder / f"{name}.safetensors"
    file.write_text(json.dumps({"parts": parts} | about))
    return str(file)


def request(model: str, *loras: LoraRequest, **wanted: Any) -> GenerationRequest:
    """A request for two pictures."""
    return GenerationRequest(**{"prompt": "a", "model": model, "seed": 5, "steps": 4, "loras": loras} | wanted)


def applied(engine: Engine, wanted: GenerationRequest) -> list[Any]:
    """The LoRAs that the toy model was changed by, in order."""
    model: Any = engine.load(engine.prepare(wanted))
    found: list[Any] = model.worn
    return found


def test_the_model_is_changed_during_the_run(engine: Engine, model: str, tmp_path: Path) -> None:
    lora = LoraRequest(path=write_lora(tmp_path), weight=0.3)
    plain, changed = engine.generate(request(model)), engine.generate(request(model, lora, lora_mode="merged"))
    assert applied(engine, request(model)) == [("unmerged", ()), ("merged", (lora,))]
    assert float((changed.latents - plain.latents).abs().max()) > 0.1
    loaded: Any = engine.load(engine.prepare(request(model)))
    assert loaded.loras == ()
    assert torch.equal(engine.generate(request(model)).latents, plain.latents)


def test_several_loras_keep_their_order_and_weights(engine: Engine, model: str, tmp_path: Path) -> None:
    loras = [
        LoraRequest(path=write_lora(tmp_path, "one"), weight=0.5),
        LoraRequest(path=write_lora(tmp_path, "two"), weight=-1, text_encoders=0.25, denoiser=2),
    ]
    engine.generate(request(model, *loras))
    assert applied(engine, request(model)) == [("unmerged", tuple(loras))]
    assert [lora.weight_of("unet") for lora in loras] == [0.5, 2]
    assert [lora.weight_of("text_encoder_2") for lora in loras] == [0.5, 0.25]


def test_the_refiner_is_not_changed(engine: Engine, tmp_path: Path) -> None:
    first, second = str(write_toy(tmp_path / "first")), str(write_toy(tmp_path / "second"))
    wanted = request(first, LoraRequest(path=write_lora(tmp_path)), refiner=second)
    engine.generate(wanted)
    models: list[Any] = [loaded.model for loaded in engine._studio.models.load(engine.prepare(wanted))]
    assert [len(loras) for model in models for _, loras in model.worn] == [1, 0]


def test_prompts_are_encoded_again_if_the_text_encoders_change(engine: Engine, model: str, tmp_path: Path) -> None:
    picture = LoraRequest(path=write_lora(tmp_path, "picture"))
    words = LoraRequest(path=write_lora(tmp_path, "words", ("text_encoder", "unet")), weight=0.5)
    loaded: Any = engine.load(engine.prepare(request(model)))

    def encodings(*loras: LoraRequest, **options: Any) -> int:
        loaded.encoded.clear()
        engine.generate(request(model, *loras, guidance=1, **options))
        return len(loaded.encoded)

    assert [encodings(), encodings(), encodings(picture)] == [1, 0, 0]
    assert [encodings(words), encodings(words), encodings(picture, words)] == [1, 0, 0]
    assert encodings(words.model_copy(update={"denoiser": 0.1})) == 0
    assert encodings(words.model_copy(update={"text_encoders": 0.0})) == 0
    assert encodings(words.model_copy(update={"weight": 0.6})) == 1
    assert encodings(words, lora_mode="merged") == 1
    Path(words.path).write_text(Path(words.path).read_text() + " ")
    assert encodings(words) == 1


def test_eight_threads_get_what_each_would_get_alone(host: PluginHost, model: str, tmp_path: Path) -> None:
    one, two = write_lora(tmp_path, "one"), write_lora(tmp_path, "two", ("text_encoder",))
    choices = [(), (LoraRequest(path=one),), (LoraRequest(path=two, weight=0.5),), (LoraRequest(path=one, weight=2.0),)]
    wanted = [request(model, *choices[number % 4], seed=number // 4) for number in range(THREADS)]
    alone = [Engine(host).generate(each).latents for each in wanted]
    engine, together = Engine(host), Barrier(THREADS)

    def draw(each: GenerationRequest) -> torch.Tensor:
        together.wait(timeout=60)
        return engine.generate(each).latents

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(draw, wanted))
    assert all(torch.equal(a, b) for a, b in zip(found, alone, strict=True))


def test_requests_with_the_same_loras_run_at_once(engine: Engine, model: str, tmp_path: Path) -> None:
    """Each waits for the other in the middle of its sampling. The file is there under two names."""
    file = Path(write_lora(tmp_path))
    (tmp_path / "copy.safetensors").write_bytes(file.read_bytes())
    both = Barrier(2)

    def meet(event: ProgressEvent) -> None:
        if event.stage == "sample" and event.done == 2:
            both.wait(timeout=60)

    wanted = [request(model, LoraRequest(path=str(path))) for path in (file, tmp_path / "copy.safetensors")]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda each: engine.generate(each, progress=meet), wanted))
    assert torch.equal(results[0].latents, results[1].latents)


def test_a_recipe_holds_for_one_file_and_not_for_its_name(engine: Engine, model: str, tmp_path: Path) -> None:
    file = Path(write_lora(tmp_path))
    (recipe,) = engine.generate(request(model, LoraRequest(path=str(file), weight=0.4))).recipes
    recipe = Recipe.model_validate_json(recipe.model_dump_json())
    assert recipe.loras == (sha256(file.read_bytes()).hexdigest(),)
    assert recipe.request.loras == (LoraRequest(path=str(file.resolve()), weight=0.4),)
    again = engine.reproduce(recipe)
    assert again.recipes == (recipe,)
    file.write_text(file.read_text() + " ")
    with pytest.raises(RecipeError, match=r"LoRA .*ink.safetensors is not the one") as refused:
        engine.reproduce(recipe)
    assert recipe.loras[0] in str(refused.value)
    assert torch.equal(engine.reproduce(recipe, anyway=True).latents, again.latents)


def test_parts_without_effect_are_noted(engine: Engine, model: str, tmp_path: Path) -> None:
    lora = LoraRequest(path=write_lora(tmp_path, rest=["stranger"]))
    assert "ink.safetensors holds stranger, which has no effect." in engine.generate(request(model, lora)).notes


def test_a_lora_is_refused_before_the_model_is_loaded(host: PluginHost, tmp_path: Path) -> None:
    model = str(write_toy(tmp_path / "fails", fails="loading"))
    bad = LoraRequest(path=write_lora(tmp_path, parts=()))
    with pytest.raises(IncompatibleError, match="changes no layer"):
        Engine(host).generate(request(model, bad))
    with pytest.raises(LatentryError, match="Out of memory while loading"):
        Engine(host).generate(request(model))


def test_a_missing_file_is_named(engine: Engine, model: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"There is no LoRA .*nowhere.safetensors"):
        engine.prepare(request(model, LoraRequest(path=str(tmp_path / "nowhere.safetensors"))))


@pytest.mark.parametrize("wrong", [{"weight": float("nan")}, {"weight": float("inf")}, {"wieght": 1}, {"path": None}])
def test_invalid_lora_requests_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LoraRequest(**{"path": "a.safetensors"} | wrong)


@pytest.mark.parametrize("field", ["weight", "denoiser", "text_encoders"])
@pytest.mark.parametrize("weight", [100.5, -1e30, 1.7e308])
def test_an_absurd_weight_is_refused_with_the_bound(field: str, weight: float) -> None:
    with pytest.raises(ValidationError, match=r"than or equal to -?100"):
        LoraRequest(path="a.safetensors", **{field: weight})
    for fine in (100.0, -100.0, 0.0):
        assert LoraRequest(path="a.safetensors", **{field: fine})
