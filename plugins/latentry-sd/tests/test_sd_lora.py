"""LoRAs on Stable Diffusion, from the request to the latents."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from threading import Barrier

import pytest
import torch
from support.loras import diffusers, kohya, random_lora, underscored, write
from support.models import write_stable_diffusion
from torch import Tensor, nn

from latentry import Engine, GenerationRequest, IncompatibleError, LoraRequest, MemoryPolicy, ModelFiles, PluginHost
from latentry.models import Model
from latentry_sd.checkpoint import open_checkpoint
from latentry_sd.model import StableDiffusion

HOST = PluginHost(load=("latentry", "latentry-sd", "latentry-ddim"))
THREADS = 8
STARTS = {"unet": "lora_unet_", "text_encoder": "lora_te_"}


def changing(model: Model) -> dict[str, nn.Module]:
    """The networks that LoRAs are for."""
    return {part: model.networks[part] for part in STARTS}


@pytest.fixture(scope="module")
def files(model: StableDiffusion, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Two LoRAs in two layouts."""
    folder, networks = tmp_path_factory.mktemp("loras"), changing(model)
    ink = random_lora(networks, lambda _, name: "attn" in name, seed=1)
    wax = random_lora(networks, rank=2, alpha=1.0, seed=2)
    tensors = {"ink": kohya(ink, lambda part, name: underscored(STARTS[part])(part, name)), "wax": diffusers(wax)}
    return {name: str(write(folder / f"{name}.safetensors", each)) for name, each in tensors.items()}


def draw(engine: Engine, folder: Path, *loras: LoraRequest, seed: int = 0, prompt: str = "a red circle") -> Tensor:
    """Two steps."""
    request = GenerationRequest(
        prompt=prompt, model=str(folder), seed=seed, steps=2, guidance=4, loras=loras, scheduler="ddim"
    )
    return engine.generate(request).latents


def state(model: Model) -> dict[str, Tensor]:
    """All weights, copied."""
    networks = changing(model).items()
    return {f"{part}.{name}": t.clone() for part, network in networks for name, t in network.state_dict().items()}


@pytest.mark.slow
def test_eight_threads_get_what_each_gets_alone(folder: Path, files: dict[str, str]) -> None:
    ink, wax = LoraRequest(path=files["ink"]), LoraRequest(path=files["wax"], weight=-0.7)
    choices = [(), (ink,), (wax,), (ink, wax)]
    alone = Engine(HOST)
    expected = [draw(alone, folder, *choices[number % 4], seed=number // 4) for number in range(THREADS)]
    shared, together = Engine(HOST), Barrier(THREADS)

    def run(number: int) -> Tensor:
        together.wait(timeout=120)
        return draw(shared, folder, *choices[number % 4], seed=number // 4)

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(run, range(THREADS)))
    # a thread may sum with more helpers than the first one, which moves the last digits
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(found, expected, strict=True))
    apart = [float((a - b).abs().max()) for i, a in enumerate(expected) for b in expected[:i]]
    assert min(apart) > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["unmerged", "merged"])
def test_after_a_request_the_weights_are_what_they_were(folder: Path, files: dict[str, str], mode: str) -> None:
    engine = Engine(HOST)
    request = GenerationRequest(prompt="a", model=str(folder), steps=2, loras=[{"path": files["wax"]}], lora_mode=mode)
    model = engine.load(engine.prepare(request))
    before = state(model)
    engine.generate(request)
    after = state(model)
    assert engine.load(engine.prepare(request)) is model
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["unmerged", "merged"])
def test_networks_that_wait_in_main_memory_are_changed_as_well(folder: Path, files: dict[str, str], mode: str) -> None:
    """Here main memory and device are the same; offload copies the weights even so."""
    request = GenerationRequest(
        prompt="a", seed=1, model=str(folder), steps=2, loras=[{"path": files["wax"]}], lora_mode=mode, device="cpu"
    )
    plain = Engine(HOST).generate(request)
    moving = Engine(HOST, MemoryPolicy(offload="blocks"), move=lambda tensor, device: tensor.clone())
    assert torch.equal(moving.generate(request).latents, plain.latents)
    assert torch.equal(moving.generate(request).latents, plain.latents)


def test_a_lora_is_matched_without_the_weights(tmp_path: Path, model: StableDiffusion, files: dict[str, str]) -> None:
    """Their files are there, but cannot be read any more."""
    checkpoint = open_checkpoint(ModelFiles(write_stable_diffusion(tmp_path / "tiny")), "sd15")
    for file in tmp_path.rglob("*.safetensors"):
        file.unlink()
    found = checkpoint.match_loras([Path(files["wax"]), Path(files["ink"])])
    layers = [len(random_lora(changing(model))), len(random_lora(changing(model), lambda _, name: "attn" in name))]
    assert [match.layers for match in found] == layers
    assert all(set(match.parts) == set(STARTS) and not match.unmatched for match in found)


def test_the_digest_is_that_of_the_file_and_of_its_settings(
    model: StableDiffusion, tmp_path: Path, files: dict[str, str]
) -> None:
    file, settings = tmp_path / "adapter_model.safetensors", tmp_path / "adapter_config.json"
    file.write_bytes(Path(files["wax"]).read_bytes())
    (plain,) = model.checkpoint.match_loras([file])
    assert plain.digest == sha256(file.read_bytes()).hexdigest()
    digests = {plain.digest}
    for alpha in (1, 2):
        settings.write_text(f'{{"lora_alpha": {alpha}}}')
        digests.update(match.digest for match in model.checkpoint.match_loras([file, tmp_path]))
    assert len(digests) == 3


def test_a_lora_for_flux_is_refused_before_the_weights_are_read(tmp_path: Path) -> None:
    folder = write_stable_diffusion(tmp_path / "tiny")
    layer = "transformer.single_transformer_blocks.0.attn.to_q"
    tensors = {f"{layer}.lora_A.weight": torch.ones(4, 8), f"{layer}.lora_B.weight": torch.ones(8, 4)}
    lora = LoraRequest(path=str(write(tmp_path / "flux.safetensors", tensors)))
    request = GenerationRequest(prompt="a", model=str(folder), loras=(lora,))
    with pytest.raises(IncompatibleError, match="changes no layer of this model") as refused:
        Engine(HOST).prepare(request)
    for words in ("one layer of rank 4", "diffusers' layout", layer, "FLUX.1"):
        assert words in str(refused.value)
