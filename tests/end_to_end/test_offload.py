"""The four families with offload: what is on the device when, and that pictures are the same to the last bit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from support.loras import diffusers, random_lora, write
from support.peft_adapters import save, with_adapter
from support.stand_in import Record, bytes_of, copied
from torch import Tensor

from latentry import (
    Engine,
    GenerationRequest,
    IncompatibleError,
    LoraMode,
    LoraRequest,
    MemoryPolicy,
    PluginHost,
    ProgressEvent,
)
from latentry._memory._ahead import Pinned
from latentry.models import Model, offloaded

pytestmark = pytest.mark.slow

FAMILIES = ("sd", "sdxl", "sd3", "flux")
POLICIES = {
    "model": MemoryPolicy(offload="model"),
    "blocks": MemoryPolicy(offload="blocks"),
}
PICTURE = Image.radial_gradient("L").resize((64, 64)).convert("RGB")


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost()


def request(folder: Path, **settings: Any) -> GenerationRequest:
    prompts = {"prompt": "a red circle", "seed": 3, "steps": 2, "width": 64, "height": 64}
    return GenerationRequest(model=str(folder), **{**prompts, **settings})


class Watched:
    """An engine whose device is a stand-in.

    Attributes:
        engine: the engine.
        record: what was on the device when; of the refiner's parts under ``refiner …``.
    """

    def __init__(self, host: PluginHost, policy: MemoryPolicy, wanted: GenerationRequest) -> None:
        self.engine = Engine(host, policy, move=lambda tensor, device: self.record.move(tensor, device))
        setup = self.engine.prepare(wanted)
        networks = dict(self.engine.load(setup).networks)
        for loaded in self.engine._studio.models.load(setup)[1:]:
            networks |= {f"refiner {part}": network for part, network in loaded.model.networks.items()}
        self.record = Record(networks)

    def latents(self, wanted: GenerationRequest, **given: Any) -> Tensor:
        self.record.order.clear()
        return self.engine.generate(wanted, **given).latents


@pytest.mark.parametrize("policy", ["model", "blocks"])
@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_are_the_same_and_little_is_on_the_device(
    host: PluginHost, families: Mapping[str, Path], family: str, policy: str
) -> None:
    wanted = request(families[family], count=2)
    plain, watched = Engine(host).generate(wanted), Watched(host, POLICIES[policy], wanted)
    found = watched.engine.generate(wanted)
    assert torch.equal(found.latents, plain.latents)
    assert [a.tobytes() for a in found.images] == [b.tobytes() for b in plain.images]
    assert found.recipes[0].request == plain.recipes[0].request  # offload is no part of a picture
    record = watched.record
    assert set(record.parts) == set(record.networks)
    assert record.parts[-2:] == list(record.networks)[-2:]
    for name, here in record.order:
        assert {tensor.split(".")[0] for tensor in here} == {name.split(".")[0]}
    whole = max(bytes_of(network) for network in record.networks.values())
    assert record.peak == whole if policy == "model" else record.peak < whole
    assert record.here == frozenset()


class Copying:
    """A stand-in for a device with a stream for copies, which come out of pinned memory."""

    def __init__(self, pinned: Pinned) -> None:
        self._pinned = pinned

    def begin(self, tensor: Tensor) -> Tensor:
        return copied(self._pinned.copy(tensor))

    def wait(self, copies: Iterable[Tensor]) -> None:
        """They are there."""


def test_what_is_pinned_stays_from_request_to_request(
    host: PluginHost, families: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Tensor] = []

    def pin(tensor: Tensor) -> Tensor:
        made.append(tensor)
        return copied(tensor)

    monkeypatch.setattr("latentry._generate._drawing.ahead_of", lambda device, pinned: Copying(pinned))
    wanted = request(families["sd3"], device="cpu", dtype="float32")
    engine, plain = (
        Engine(host, MemoryPolicy(offload="blocks", prefetch=True), move=lambda t, d: copied(t)),
        Engine(host),
    )
    engine._studio = replace(engine._studio, pinned=Pinned(pin))
    expected = plain.generate(wanted).latents
    assert torch.equal(engine.generate(wanted).latents, expected)
    first = len(made)
    assert first > 0
    assert torch.equal(engine.generate(wanted).latents, expected)
    assert len(made) == first


@pytest.mark.parametrize("family", FAMILIES)
def test_a_prompt_that_is_known_brings_no_text_encoder_back(
    host: PluginHost, families: Mapping[str, Path], family: str
) -> None:
    wanted = request(families[family], count=4, batch=2)
    watched = Watched(host, POLICIES["model"], wanted)
    first = watched.latents(wanted)
    assert watched.record.parts[0].startswith("text_encoder")
    denoiser = watched.record.parts[-2]
    assert torch.equal(watched.latents(wanted), first)
    assert watched.record.parts == [denoiser, "vae"] * 2  # for each batch, and nothing else
    watched.latents(wanted.model_copy(update={"prompt": "a blue star"}))
    assert watched.record.parts[0].startswith("text_encoder")


def test_from_a_picture_the_autoencoder_comes_first(host: PluginHost, families: Mapping[str, Path]) -> None:
    wanted = request(families["sd"], strength=0.6)
    plain = Engine(host).generate(wanted, init_image=PICTURE).latents
    setup = wanted.model_copy(update={"strength": None})
    watched = Watched(host, POLICIES["model"], setup)
    assert torch.equal(watched.latents(wanted, init_image=PICTURE), plain)
    assert watched.record.parts == ["vae", "text_encoder", "unet", "vae"]


def test_a_refiner_takes_its_turn(host: PluginHost, families: Mapping[str, Path]) -> None:
    wanted = request(families["sdxl"], refiner=str(families["refiner"]), switch=0.5, steps=4, guidance=1.0)
    plain, watched = Engine(host).generate(wanted).latents, Watched(host, POLICIES["model"], wanted)
    assert torch.equal(watched.latents(wanted), plain)
    encoders = ["text_encoder", "text_encoder_2", "refiner text_encoder_2"]
    assert watched.record.parts == [*encoders, "unet", "refiner unet", "vae"]
    for name, here in watched.record.order:
        assert {tensor.split(".")[0] for tensor in here} == {name.split(".")[0]}


@pytest.mark.parametrize("family", FAMILIES)
def test_attention_is_served_all_the_same(host: PluginHost, families: Mapping[str, Path], family: str) -> None:
    wanted = request(families[family], attention="sdpa")
    plain, watched = Engine(host).generate(wanted), Watched(host, POLICIES["blocks"], wanted)
    assert torch.equal(watched.latents(wanted), plain.latents)


@pytest.mark.parametrize("mode", ["merged", "unmerged"])
def test_loras_are_worn_all_the_same(
    host: PluginHost, families: Mapping[str, Path], tmp_path: Path, mode: LoraMode
) -> None:
    without = request(families["sd"])
    engine = Engine(host)
    factors = random_lora(engine.load(engine.prepare(without)).networks, lambda part, name: "attn" in name)
    worn = LoraRequest(path=str(write(tmp_path / "some.safetensors", diffusers(factors))))
    wanted = request(families["sd"], loras=(worn,), lora_mode=mode)
    plain, bare = engine.generate(wanted).latents, engine.generate(without).latents
    watched = Watched(host, POLICIES["blocks"], wanted)
    assert torch.equal(watched.latents(wanted), plain)
    assert not torch.equal(plain, bare)
    assert torch.equal(watched.latents(without), bare)
    assert watched.record.here == frozenset()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("mode", ["unmerged", "merged"])
@pytest.mark.parametrize("kind", ["DoRA", "LoHa", "LoKr", "OFT"])
def test_adapters_of_every_kind_are_worn_all_the_same(
    host: PluginHost, families: Mapping[str, Path], tmp_path: Path, kind: str, mode: LoraMode, policy: str
) -> None:
    """Their factors follow the layers to the device, and what was merged goes back to what it was."""
    without, engine = request(families["sd"]), Engine(host)
    unet = engine.load(engine.prepare(without)).networks["unet"]
    layers = [name for name, layer in unet.named_modules() if "attn" in name and isinstance(layer, torch.nn.Linear)]
    worn = LoraRequest(path=str(save(with_adapter(unet, kind, layers), tmp_path / "adapter")), weight=0.8)
    wanted = request(families["sd"], loras=(worn,), lora_mode=mode)
    plain, bare = engine.generate(wanted).latents, engine.generate(without).latents
    watched = Watched(host, POLICIES[policy], wanted)
    for _ in range(2):
        assert torch.equal(watched.latents(wanted), plain)
        assert watched.record.here == frozenset()
        assert torch.equal(watched.latents(without), bare)
    assert not torch.equal(plain, bare)


def test_an_exception_leaves_nothing_on_the_device(host: PluginHost, families: Mapping[str, Path]) -> None:
    wanted = request(families["sd3"])
    watched = Watched(host, POLICIES["blocks"], wanted)

    def cancel(event: ProgressEvent) -> None:
        if event.stage == "sample" and event.done == 1:
            assert watched.record.here
            raise InterruptedError

    with pytest.raises(InterruptedError):
        watched.latents(wanted, progress=cancel)
    assert watched.record.here == frozenset()
    assert torch.equal(watched.latents(wanted), Engine(host).generate(wanted).latents)


def test_threads_take_turns(host: PluginHost, families: Mapping[str, Path]) -> None:
    requests = [request(families["sd"], seed=seed, prompt=f"a star {seed % 3}") for seed in range(8)]
    plain, watched = Engine(host), Watched(host, POLICIES["blocks"], requests[0])
    expected = [plain.generate(each).latents for each in requests]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda each: watched.engine.generate(each).latents, requests))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert watched.record.here == frozenset()
    assert len({tensor.split(".")[0] for _, here in watched.record.order for tensor in here}) == 3
    assert all(len({tensor.split(".")[0] for tensor in here}) == 1 for _, here in watched.record.order)


def test_a_request_within_a_request_does_not_wait_for_itself(host: PluginHost, families: Mapping[str, Path]) -> None:
    wanted = request(families["sd"])
    engine = Engine(host, POLICIES["model"])

    def again(event: ProgressEvent) -> None:
        if event.stage == "sample":
            engine.generate(wanted)

    with pytest.raises(IncompatibleError, match="wait for it forever"):
        engine.generate(wanted, progress=again)
    engine.generate(wanted)  # and nothing is held


@pytest.mark.parametrize("policy", ["model", "blocks"])
@pytest.mark.parametrize("family", FAMILIES)
def test_no_network_computes_with_weights_in_main_memory(
    host: PluginHost, families: Mapping[str, Path], family: str, policy: str
) -> None:
    """With meta for a device: torch refuses to mix tensors of it with others, as it does on a GPU."""
    engine, meta = Engine(host), torch.device("meta")
    setup = engine.prepare(request(families[family], guidance=2.0))
    model: Model = engine.load(setup)
    with offloaded(model, device=meta, policy=POLICIES[policy]), torch.no_grad():
        for negative in (False, True):
            told = model.encode_prompt(["a (red:1.2) circle"], setup.prompt_settings(negative=negative))
            assert {tensor.device for tensor in told.tensors.values()} == {meta}
        latents = torch.zeros(1, *setup.latent_shape, device=meta)
        assert model.predict(latents, 500.0, told).device == meta
        assert model.decode(torch.zeros(1, *setup.latent_shape)).device == meta  # not from meta: there is no way back
        assert model.encode(torch.zeros(1, 3, 64, 64)).device == meta
    assert all(
        tensor.device.type == "cpu" for network in model.networks.values() for tensor in network.state_dict().values()
    )
