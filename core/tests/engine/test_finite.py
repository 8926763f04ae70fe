"""A picture is never made from values that are not finite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.toy import PLUGIN
from torch import Tensor

from latentry import Engine, GenerationRequest, NonFiniteError, PluginHost, ProgressEvent

PLUGIN_OF_NAN = """
from latentry import Scheduler, SchedulerSpec, SigmaPreference, hookimpl

TRAILING = (SigmaPreference("latentry:trailing", final="table"),)

@hookimpl
def latentry_schedulers():
    yield SchedulerSpec(name="nan", target="%s:Nan", summary="For a test.", sigmas=TRAILING)


class Nan(Scheduler):
    def step(self, x, interval, memory, noise):
        denoised = yield interval.start.query(x)
        x = denoised.at(interval.end)
        return (x * float("nan") if interval.index == 2 else x), memory

"""


def request(model: str, **wanted: Any) -> GenerationRequest:
    return GenerationRequest(**({"prompt": "a", "model": model, "seed": 5, "steps": 6, "guidance": 2.0} | wanted))


def spoil(engine: Engine, wanted: GenerationRequest, method: str, change: Callable[[Any, tuple[Any, ...]], Any]) -> Any:
    """Changes what a method of the loaded model returns."""
    model: Any = engine.load(engine.prepare(wanted))
    original = getattr(model, method)
    setattr(model, method, lambda *given, **options: change(original(*given, **options), given))
    return model


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("at", [0, 3, 5])
def test_the_denoiser_is_named_with_the_step(engine: Engine, model: str, value: float, at: int) -> None:
    loaded: Any = engine.load(engine.prepare(request(model)))
    loaded.calls.clear()

    def one_bad_value(output: Tensor, given: Any) -> Tensor:
        output = output.clone()
        if len(loaded.calls) == at + 1:
            output[0, 0, 0, 0] = value
        return output

    spoil(engine, request(model), "predict", one_bad_value)
    with pytest.raises(
        NonFiniteError, match=f"values from the denoiser at step {at + 1} of 6 are not finite"
    ) as caught:
        engine.generate(request(model))
    assert "float32" in caught.value.why
    assert caught.value.remedy
    assert caught.value.finished is None


@pytest.mark.parametrize("scheduler", ["first", "two-stage", "noisy", "halving", "greedy"])
def test_every_kind_of_scheduler_ends_at_once_or_at_its_end(engine: Engine, model: str, scheduler: str) -> None:
    """An adaptive one compares its error with a tolerance, which NaN never meets."""
    wanted = request(model, scheduler=scheduler)
    spoil(engine, wanted, "predict", lambda output, given: output * float("nan"))
    with pytest.raises(NonFiniteError, match="the denoiser at step 1"):
        engine.generate(wanted)


def test_the_text_encoder_is_named_with_the_prompt_and_the_failure_is_not_kept(engine: Engine, model: str) -> None:
    good = engine.generate(request(model, prompt="b")).images[0].tobytes()

    def bad_for_a(conditioning: Any, given: Any) -> Any:
        if given[0] == ["a"]:
            conditioning.tensors["colour"].mul_(float("nan"))
        return conditioning

    spoil(engine, request(model), "encode_prompt", bad_for_a)
    for _ in range(2):
        with pytest.raises(NonFiniteError, match="the text encoder, for the prompt 'a'"):
            engine.generate(request(model))
    assert engine.generate(request(model, prompt="b")).images[0].tobytes() == good


def test_an_autoencoder_in_float32_is_named(engine: Engine, model: str) -> None:
    spoil(engine, request(model), "decode", lambda pixels, given: pixels * float("nan"))
    with pytest.raises(NonFiniteError, match="the autoencoder"):
        engine.generate(request(model))


def test_pictures_of_other_batches_are_not_lost(engine: Engine, model: str) -> None:
    wanted = request(model, prompt=("b", "c", "a", "d"), batch=1)
    alone = [engine.generate(request(model, prompt=("b", "c", "a", "d"), batch=1)).images[i].tobytes() for i in (0, 1)]

    def bad_for_a(conditioning: Any, given: Any) -> Any:
        if given[0] == ["a"]:
            conditioning.tensors["colour"].fill_(float("inf"))
        return conditioning

    fresh = Engine(engine.host)
    spoil(fresh, wanted, "encode_prompt", bad_for_a)
    with pytest.raises(NonFiniteError) as caught:
        fresh.generate(wanted)
    finished = caught.value.finished
    assert [image.tobytes() for image in finished.images] == alone
    assert [recipe.index for recipe in finished.recipes] == [0, 1]


@pytest.fixture
def with_nan(tmp_path: Path) -> Engine:
    """An engine with the plugin above."""
    (tmp_path / "plugins").mkdir()
    file = tmp_path / "plugins" / "broken_numbers.py"
    file.write_text(PLUGIN_OF_NAN % file.stem)
    return Engine(PluginHost(load=("latentry",), plugin_dirs=[PLUGIN, file], strict=True))


def test_a_scheduler_that_returns_nan_is_named(with_nan: Engine, model: str) -> None:
    with pytest.raises(NonFiniteError, match="values from the scheduler at step 3 of 6"):
        with_nan.generate(request(model, scheduler="nan"))


@pytest.mark.parametrize("scheduler", ["first", "two-stage", "noisy"])
def test_nothing_waits_for_the_device_in_the_loop(
    engine: Engine, model: str, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading a value on the host is counted; between the first and the last step there is none, and one after."""
    reads, at_steps = [], []
    for name in ("item", "tolist", "__bool__", "__float__", "__int__", "__index__", "cpu", "numpy"):
        original = getattr(Tensor, name)

        def counted(self: Tensor, *given: Any, _original: Any = original, **options: Any) -> Any:
            reads.append(1)
            return _original(self, *given, **options)

        monkeypatch.setattr(Tensor, name, counted)

    def listen(event: ProgressEvent) -> None:
        if event.stage in ("sample", "decode"):
            at_steps.append(len(reads))

    engine.generate(request(model, scheduler=scheduler), progress=listen)
    *sampling, decoding = at_steps
    assert len(set(sampling)) == 1
    assert decoding == sampling[0] + 1


def test_finite_runs_are_as_before(engine: Engine, model: str) -> None:
    result = engine.generate(request(model, count=3, batch=2))
    assert torch.isfinite(result.latents).all()
    assert not any("overflow" in note for note in result.notes)
