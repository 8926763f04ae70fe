"""The loop on a device: nothing puts float64 there, which Apple's GPUs do not have, nor leaves a tensor elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from latentry import Engine, GenerationRequest
from latentry._contract._progress import BatchProgress, silent
from latentry._generate._batch._finite import FiniteCheck
from latentry._generate._batch._loop import Begun, Halted, Sampling
from latentry._generate._batch._start import Start
from latentry._jobs._course import Interrupted
from latentry._numerics._processes._point import Point
from latentry._numerics._running._state import RunState
from latentry._request._given_noise import GivenNoise
from latentry.testing import EagerAttention

META = torch.device("meta")


class RefusesFloat64(TorchDispatchMode):
    """The meta device stands in for one without float64."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and leaf.device == META and leaf.dtype == torch.float64:
                raise TypeError(f"{func} puts float64 on the device")
        return out


def test_the_stand_in_refuses() -> None:
    with RefusesFloat64(), pytest.raises(TypeError, match="float64 on the device"):
        torch.zeros(2, dtype=torch.float64).to(META)


def use_meta(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a model take latents there, and the checks not read their values."""
    monkeypatch.setattr(FiniteCheck, "raise_first", lambda *given: None)
    predict = network.predict

    def on_meta(x: Tensor, timestep: float, conditioning: Any, **options: Any) -> Tensor:
        moved = type(conditioning)({name: tensor.to(META) for name, tensor in conditioning.tensors.items()})
        found: Tensor = predict(x, timestep, moved, **options)
        return found

    monkeypatch.setattr(network, "predict", on_meta, raising=False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scheduler", ["first", "two-stage", "noisy"])
def test_the_loop(
    engine: Engine, model: str, scheduler: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With initial noise of the caller in either dtype, negative prompt, guidance and rescaling."""
    request = GenerationRequest(
        prompt="a", model=model, seed=1, steps=3, scheduler=scheduler, negative="b", guidance_rescale=0.5
    )
    setup = engine.prepare(request)
    loaded = engine._studio.models.load(setup)
    use_meta(loaded[0].model, monkeypatch)
    given = GivenNoise(torch.zeros(1, *setup.latent_shape, dtype=dtype))
    start = Start(setup.plan, setup.plan.noise_scale("unit"))
    with RefusesFloat64():
        sampled = Sampling(replace(setup, device=META), loaded, start, given)([0], BatchProgress(silent, 0, 1, 3))
    assert sampled.latents.device == META
    assert sampled.latents.dtype == torch.float32


@pytest.mark.parametrize("scheduler", ["noisy", "two-stage"])
def test_a_run_that_was_left_in_main_memory(
    engine: Engine, model: str, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a saved job's is: it goes on on the device, with its scheduler's and its guidance's memory."""
    request = GenerationRequest(
        prompt="a", model=model, seed=1, steps=4, scheduler=scheduler, guidance=2.0, guidance_method="carrying"
    )
    setup = engine.prepare(request)
    loaded = engine._studio.models.load(setup)
    network: Any = loaded[0].model
    start, given = Start(setup.plan, setup.plan.noise_scale("unit")), GivenNoise(None, None)
    answers = [network.predict] * 5

    def until_the_last(*given: Any, **options: Any) -> Tensor:
        if not answers:
            raise Interrupted("pause")
        found: Tensor = answers.pop()(*given, **options)
        return found

    with monkeypatch.context() as patch, pytest.raises(Halted) as halted:
        patch.setattr(network, "predict", until_the_last, raising=False)
        Sampling(setup, loaded, start, given)([0], BatchProgress(silent, 0, 1, 4))
    begun = halted.value.begun
    assert {tensor.device.type for tensor in (*begun.run.tensors.values(), *begun.guidance.tensors.values())} == {"cpu"}
    assert begun.guidance.tensors
    use_meta(network, monkeypatch)
    on_device = Sampling(replace(setup, device=META), loaded, start, given)
    with RefusesFloat64():
        assert on_device([0], BatchProgress(silent, 0, 1, 4), begun).latents.device == META


def test_what_a_step_cache_kept_is_moved_too() -> None:
    state = RunState.pack("plan", 1, Point(0.0, 1.0, 1.0, 0.0), (torch.zeros(2),))
    moved = Begun(state, state, 1, caches=state).to(META)
    assert moved.caches is not None
    assert all(each.tensors["t0"].device == META for each in (moved.run, moved.guidance, moved.caches))
    assert Begun(state, state, 1).to(META).caches is None


def test_the_reference_attention() -> None:
    q = torch.zeros(1, 1, 4, 8, device=META)
    with RefusesFloat64():
        assert EagerAttention().attend(q, q, q).dtype == torch.float32
