"""Nothing puts float64 on a device: Apple's GPUs do not have it."""

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
from latentry._generate._batch._loop import Sampling
from latentry._generate._batch._start import Start
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
    monkeypatch.setattr(FiniteCheck, "raise_first", lambda *given: None)  # nothing can be read from meta tensors
    network: Any = loaded[0].model
    predict = network.predict

    def on_meta(x: Tensor, timestep: float, conditioning: Any, **options: Any) -> Tensor:
        moved = type(conditioning)({name: tensor.to(META) for name, tensor in conditioning.tensors.items()})
        found: Tensor = predict(x, timestep, moved, **options)
        return found

    monkeypatch.setattr(network, "predict", on_meta, raising=False)
    given = GivenNoise(torch.zeros(1, *setup.latent_shape, dtype=dtype))
    start = Start(setup.plan, setup.plan.noise_scale("unit"))
    with RefusesFloat64():
        sampled = Sampling(replace(setup, device=META), loaded, start, given)([0], BatchProgress(silent, 0, 1, 3))
    assert sampled.latents.device == META
    assert sampled.latents.dtype == torch.float32


def test_the_reference_attention() -> None:
    q = torch.zeros(1, 1, 4, 8, device=META)
    with RefusesFloat64():
        assert EagerAttention().attend(q, q, q).dtype == torch.float32
