"""``fast``: the same pictures but for the last bits, and a model that is as it was afterwards."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from support.controlnets import outlines, write_ip_adapter
from support.families import TINY
from support.loras import diffusers, random_lora, write
from support.stand_in import copied
from torch import Tensor, nn

from latentry import ControlRequest, Engine, GenerationRequest, LoraRequest, MemoryPolicy, PluginHost, Recipe
from latentry._capture._packed import packed

SIDE = 32
TOLERANCE = 1e-4
"""Of the largest latent, after four steps of a tiny network with random weights."""


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost()


def request(folder: Path, **changed: Any) -> GenerationRequest:
    given: dict[str, Any] = {"steps": 4, "width": SIDE, "height": SIDE, "seed": 4, **changed}
    return GenerationRequest(prompt="a red circle", model=str(folder), **given)


def close(one: Tensor, other: Tensor) -> bool:
    return float((one - other).abs().max()) <= TOLERANCE * float(other.abs().max())


@pytest.mark.parametrize("family", TINY)
def test_latents_are_close_and_the_model_is_left_as_it_was(host: PluginHost, family: str, tmp_path: Path) -> None:
    folder, engine = TINY[family].write(tmp_path / "model"), Engine(host)
    before = engine.generate(request(folder)).latents
    fast = engine.generate(request(folder, fast=True)).latents
    assert close(fast, before)
    assert torch.equal(engine.generate(request(folder)).latents, before)
    assert torch.equal(engine.generate(request(folder, fast=True)).latents, fast)
    assert not any("forward" in vars(layer) for layer in denoiser(engine, folder).modules() if type(layer) is nn.Conv2d)


def test_weights_are_put_in_order_once_a_request_and_go_with_it(
    host: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, engine = TINY["latentry-sd:sd"].write(tmp_path / "model"), Engine(host)
    made: list[weakref.ref[Tensor]] = []
    order = torch.ops.mkldnn._reorder_convolution_weight

    def counted(*given: Any) -> Tensor:
        ready: Tensor = order.default(*given)
        made.append(weakref.ref(ready))
        return ready

    counting = type("Counting", (), {"default": staticmethod(counted)})
    monkeypatch.setattr(torch.ops.mkldnn, "_reorder_convolution_weight", counting)
    engine.generate(request(folder))
    assert not made
    engine.generate(request(folder, fast=True))
    convolutions = [each for each in denoiser(engine, folder).modules() if type(each) is nn.Conv2d]
    once = sum(each.kernel_size != (1, 1) for each in convolutions)
    assert len(made) == once > 0
    assert not any(ready() is not None for ready in made)
    engine.generate(request(folder, fast=True, steps=6))
    assert len(made) == 2 * once


def test_weights_that_the_host_changed_between_requests_are_seen(host: PluginHost, tmp_path: Path) -> None:
    folder, engine = TINY["latentry-sd:sd"].write(tmp_path / "model"), Engine(host)
    before = engine.generate(request(folder, fast=True)).latents
    with torch.no_grad():
        for layer in denoiser(engine, folder).modules():
            if type(layer) is nn.Conv2d:
                layer.weight.mul_(0.9)
    after = engine.generate(request(folder)).latents
    assert not close(after, before)
    assert close(engine.generate(request(folder, fast=True)).latents, after)


@pytest.mark.parametrize("inference", [False, True])
def test_a_weight_that_changes_between_two_calls_is_seen(inference: bool) -> None:
    torch.manual_seed(5)
    with torch.inference_mode(inference):
        layer = nn.Conv2d(4, 8, 3)
    x = torch.randn(2, 4, 6, 6)
    with torch.inference_mode(), packed(layer):
        assert "forward" in vars(layer)
        for _ in range(2):
            assert close(layer(x), nn.functional.conv2d(x, layer.weight, layer.bias))
            if inference:  # these count no versions: another tensor is seen
                layer.weight = nn.Parameter(layer.weight * 0.5, requires_grad=False)
            else:
                layer.weight.mul_(0.5)
    assert "forward" not in vars(layer)


@pytest.mark.parametrize("mode", ["merged", "unmerged"])
def test_loras_on_convolutions(host: PluginHost, mode: str, tmp_path: Path) -> None:
    folder, engine = TINY["latentry-sd:sd"].write(tmp_path / "model"), Engine(host)
    networks = engine.load(engine.prepare(request(folder))).networks
    named = [random_lora(networks, lambda part, name: part == "unet" and "conv" in name, seed=seed) for seed in (1, 2)]
    files = [str(write(tmp_path / f"{number}.safetensors", diffusers(each))) for number, each in enumerate(named)]
    worn: tuple[dict[str, Any], ...] = tuple({"loras": (LoraRequest(path=file),), "lora_mode": mode} for file in files)
    plain = [engine.generate(request(folder, **each)).latents for each in ({}, *worn)]
    assert not close(plain[1], plain[0]) and not close(plain[2], plain[1])
    for number in (0, 1, 2, 1, 0):
        given = ({}, *worn)[number]
        assert close(engine.generate(request(folder, fast=True, **given)).latents, plain[number]), number


@pytest.mark.parametrize("offload", ["model", "blocks"])
def test_networks_that_wait_elsewhere(
    host: PluginHost, offload: Literal["model", "blocks"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy for each call: what has come to the device is another tensor each time."""
    folder = TINY["latentry-sd:sd"].write(tmp_path / "model")
    calls = []
    order = torch.ops.mkldnn._reorder_convolution_weight
    counting = type("Counting", (), {"default": staticmethod(lambda *given: calls.append(1) or order.default(*given))})
    monkeypatch.setattr(torch.ops.mkldnn, "_reorder_convolution_weight", counting)
    before = Engine(host).generate(request(folder)).latents
    engine = Engine(host, MemoryPolicy(offload=offload), move=lambda tensor, device: copied(tensor))
    home = [(weight, weight.clone()) for weight in denoiser(engine, folder).parameters()]
    fast = engine.generate(request(folder, fast=True)).latents
    assert calls
    assert not torch.equal(fast, before) and close(fast, before)
    assert torch.equal(engine.generate(request(folder)).latents, before)
    assert all(weight is now for (weight, _), now in zip(home, denoiser(engine, folder).parameters(), strict=True))
    assert all(torch.equal(weight, was) for weight, was in home)


def test_a_picture_that_is_attended_to_beside_the_prompt(host: PluginHost, tmp_path: Path) -> None:
    folder, engine = TINY["latentry-sd:sd"].write(tmp_path / "model"), Engine(host)
    adapter = write_ip_adapter(tmp_path / "adapter", folder)
    outlines().save(tmp_path / "shown.png")
    plain = engine.generate(request(folder)).latents
    shown = {"controls": (ControlRequest(model=str(adapter), picture=str(tmp_path / "shown.png")),)}
    before = engine.generate(request(folder, **shown)).latents
    assert not close(before, plain)
    fast = engine.generate(request(folder, fast=True, **shown)).latents
    assert not torch.equal(fast, before) and close(fast, before)


def test_steps_are_those_with_the_fewest_terms(host: PluginHost, tmp_path: Path) -> None:
    folder, engine = TINY["latentry-flux:flux"].write(tmp_path / "model"), Engine(host)
    given = request(folder, scheduler="heun", fast=True)
    result = engine.generate(given)
    with engine.network(engine.prepare(given)) as network:
        exact, fewest = (driven(network, table) for table in (True, "fused"))
    assert torch.equal(result.latents, fewest)
    assert not torch.equal(exact, fewest)
    recipe = Recipe.model_validate_json(result.recipes[0].model_dump_json())
    assert recipe.request.fast


def driven(network: Any, table: Any) -> Tensor:
    noise = network.noise([0])
    plan = network.setup.plan
    run = plan.start(noise * plan.noise_scale(), seed=4, table=table)
    while (query := run.query) is not None:
        run.advance(network(query, [0]))
    return run.sample


def denoiser(engine: Engine, folder: Path) -> nn.Module:
    networks = engine.load(engine.prepare(request(folder))).networks
    found = networks.get("unet") or networks["transformer"]
    assert isinstance(found, nn.Module)
    return found
