"""What a step must not do beside the network: counted in generations of four and of eight steps, whose counts agree."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from latentry import Engine, GenerationRequest, PluginHost

FAMILIES = ("sd", "sdxl", "sd3", "flux")
WALKS = ("modules", "named_modules", "parameters", "named_parameters", "buffers", "named_buffers")
WAITS = ("_local_scalar_dense", "nonzero", "is_nonzero")
"""Operations whose result is read on the host."""


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(PluginHost())


def draw(engine: Engine, model: Path, steps: int, **settings: Any) -> Tensor:
    request = GenerationRequest(
        prompt="a red circle", model=str(model), steps=steps, seed=1, width=64, height=64, device="cpu", **settings
    )
    return engine.generate(request).latents


class Waits(TorchDispatchMode):
    """Counts the operations that wait for the device."""

    def __init__(self, counts: Counter[str]) -> None:
        super().__init__()
        self._counts = counts

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        self._counts[name] += name in WAITS
        return function(*args, **(kwargs or {}))


@contextmanager
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Walks over networks, looks at signatures, and waits for the device."""
    counts: Counter[str] = Counter()

    def counted(owner: Any, name: str) -> Callable[..., Any]:
        own = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            counts[name] += 1
            return own(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in WALKS:
            patch.setattr(nn.Module, name, counted(nn.Module, name))
        patch.setattr(inspect, "signature", counted(inspect, "signature"))
        with Waits(counts):
            yield counts


@pytest.mark.parametrize("family", FAMILIES)
def test_no_walk_no_signature_and_no_wait_in_a_step(
    engine: Engine, families: Mapping[str, Path], family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(engine, families[family], 2)
    found = []
    for steps in (4, 8):
        with counting(monkeypatch) as counts:
            draw(engine, families[family], steps)
        found.append({name: counts[name] for name in (*WALKS, "signature", *WAITS)})
    assert found[0] == found[1]


def test_the_counts_see_what_they_count(
    engine: Engine, families: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """diffusers' own attention looks at a signature in every layer."""
    draw(engine, families["sd"], 2)
    model = engine.load(engine.prepare(GenerationRequest(prompt="", model=str(families["sd"]))))
    network: Any = model.networks["unet"]
    found = []
    for steps in (4, 8):
        with counting(monkeypatch) as counts:
            draw(engine, families["sd"], steps, attention="native")
            for _ in range(steps):
                assert network.dtype == torch.float32
                assert float(torch.ones(())) == 1.0
        found.append(counts)
    layers = sum(hasattr(module, "to_q") for module in network.modules())
    assert found[1]["signature"] - found[0]["signature"] == 4 * layers
    assert found[1]["named_modules"] - found[0]["named_modules"] >= 4
    assert found[1]["_local_scalar_dense"] - found[0]["_local_scalar_dense"] == 4


@pytest.mark.parametrize("family", FAMILIES)
def test_attention_that_is_called_directly_gives_the_same_bits(
    engine: Engine, families: Mapping[str, Path], family: str
) -> None:
    """sdpa is what diffusers' own layers call, through their own ``forward``."""
    own = draw(engine, families[family], 3, attention="native", guidance=3.0)
    assert torch.equal(draw(engine, families[family], 3, attention="sdpa", guidance=3.0), own)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_host_gets_can_enter_autograd(engine: Engine, families: Mapping[str, Path], family: str) -> None:
    """Networks run in inference mode, whose tensors cannot; nor do they stay in the model."""
    seen: list[Tensor] = []
    request = GenerationRequest(prompt="a red circle", model=str(families[family]), steps=2, width=64, height=64)
    result = engine.generate(
        request, progress=lambda event: seen.append(event.run.sample) if event.run is not None else None
    )
    model = engine.load(engine.prepare(request))
    tensors = [result.latents, *seen]
    tensors += [tensor for network in model.networks.values() for tensor in network.state_dict(keep_vars=True).values()]
    assert len(seen) >= 2
    assert not any(tensor.is_inference() for tensor in tensors)
    weight = torch.ones((), requires_grad=True)
    (result.latents * weight).sum().backward()
    assert weight.grad is not None
    assert torch.allclose(weight.grad, result.latents.sum(), rtol=1e-3, atol=1e-2)


def test_networks_run_in_inference_mode_unless_gradients_are_asked_for(
    engine: Engine, families: Mapping[str, Path]
) -> None:
    modes: list[bool] = []
    request = GenerationRequest(prompt="a red circle", model=str(families["sd"]), steps=2, width=64, height=64)
    model = engine.load(engine.prepare(request))
    hooks = [
        network.register_forward_pre_hook(lambda *given: modes.append(torch.is_inference_mode_enabled()))
        for part, network in model.networks.items()
        if part != "vae"
    ]
    engine.generate(request.model_copy(update={"prompt": ("another",)}))
    for hook in hooks:
        hook.remove()
    assert len(modes) >= 3
    assert all(modes)
