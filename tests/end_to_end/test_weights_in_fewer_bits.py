"""``--weights`` on four families, beside networks whose weights are rounded by the formulas and computed plainly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support.files import original, places
from support.float8 import scaled_float8
from support.loras import diffusers, random_lora, write
from support.models import write_stable_diffusion
from support.models_flux import write_flux
from support.models_sd3 import write_stable_diffusion_3
from support.models_sdxl import write_stable_diffusion_xl
from support.stand_in import copied
from torch import Tensor, nn

from latentry import Engine, GenerationRequest, LoraRequest, MemoryPolicy, ModelFiles, OptionError, PluginHost, Recipe
from latentry_diffusers.loading.quantised import QuantisedConv2d, QuantisedLinear, dequantised

pytestmark = pytest.mark.slow  # many that add up

WRITERS: Mapping[str, Callable[[Path], Path]] = {
    "sd": write_stable_diffusion,
    "sdxl": write_stable_diffusion_xl,
    "sd3": write_stable_diffusion_3,
    "flux": write_flux,
}
KINDS = ("float8", "int8", "int4")
BLOCKS = (
    *("down_blocks.", "mid_block.", "up_blocks.", "transformer_blocks.", "single_transformer_blocks."),
    *("text_model.encoder.layers.", "encoder.layers.", "encoder.block."),
)
MODULATION = ("norm", "time_emb_proj")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: write(root / name) for name, write in WRITERS.items()}


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost()


def request(folder: Path, **settings: Any) -> GenerationRequest:
    asked = {"prompt": "a red circle", "seed": 3, "steps": 2, "width": 64, "height": 64, "dtype": "float32"}
    return GenerationRequest(model=str(folder), **{**asked, **settings})


def by_blocks(values: Tensor, kind: str) -> Tensor:
    """Q8_0 and Q4_0 of GGUF: 32 values share a scale, which is rounded to float16 once they have been divided."""
    blocks = values.reshape(-1, 32)
    if kind == "int8":
        scale = blocks.abs().amax(1, keepdim=True) / 127
        divided = blocks * (1 / scale)
        whole = divided.sign() * (divided.abs() + 0.5).floor()
    else:  # the value of the largest size becomes -8
        scale = blocks.gather(1, blocks.abs().argmax(1, keepdim=True)) / -8
        whole = (blocks * (1 / scale) + 8.5).floor().clamp(0, 15) - 8
    return (whole.where(scale != 0, 0) * scale.half().float()).reshape(values.shape)


def by_rows(values: Tensor) -> Tensor:
    """Float8 (e4m3) times the least power of two with which a row's largest value fits."""
    rows = values.double().flatten(1)
    scale = 2 ** torch.ceil(torch.log2(rows.abs().amax(1, keepdim=True) / 448))
    return ((rows / scale).float().to(torch.float8_e4m3fn).double() * scale).reshape(values.shape)


def chosen(model: Any, family: str) -> Iterator[tuple[str, str, nn.Linear | nn.Conv2d]]:
    """The layers that the page says are rounded: part, name and layer; FLUX's modulation too."""
    for part, network in model.networks.items():
        whole = () if family == "flux" and part == "transformer" else MODULATION
        inside = ((name, layer) for name, layer in network.named_modules() if name.startswith(BLOCKS))
        for name, layer in inside if part != "vae" else ():
            if (type(layer) is nn.Linear or type(layer) is nn.Conv2d) and not any(word in name for word in whole):
                yield part, name, layer


def packed(model: Any) -> dict[tuple[str, str], Any]:
    return {
        (part, name): layer
        for part, network in model.networks.items()
        for name, layer in network.named_modules()
        if isinstance(layer, QuantisedLinear | QuantisedConv2d)
    }


def bytes_of(model: Any) -> int:
    kept = {id(t): t for network in model.networks.values() for t in (*network.parameters(), *network.buffers())}
    return sum(tensor.numel() * tensor.element_size() for tensor in kept.values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", WRITERS)
def test_latents_are_those_of_rounded_weights(
    folders: dict[str, Path], host: PluginHost, family: str, kind: str
) -> None:
    plain, small = Engine(host), Engine(host)
    wanted = request(folders[family])
    model = plain.load(plain.prepare(wanted))
    before, saved, names = bytes_of(model), 0, set()
    for part, name, layer in chosen(model, family):
        if kind != "float8" and layer.weight.numel() % 32:
            continue
        names.add((part, name))
        values = layer.weight
        layer.weight = nn.Parameter(by_rows(values).float() if kind == "float8" else by_blocks(values, kind))
        count = values.numel()
        kept = {"float8": count + 4 * len(values), "int8": count // 32 * 34, "int4": count // 32 * 18}[kind]
        saved += 4 * count - kept
    expected = plain.generate(wanted).latents
    asked = request(folders[family], weights=kind)
    ours = small.generate(asked).latents
    loaded = small.load(small.prepare(asked))
    assert packed(loaded).keys() == names
    assert bytes_of(loaded) == before - saved
    assert small.loaded()[0].bytes == before - saved
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_the_rest_of_a_network_is_what_it_was(folders: dict[str, Path], host: PluginHost) -> None:
    states, layers = {}, {}
    for kind in ("plain", "int8"):
        engine = Engine(host)
        model = engine.load(engine.prepare(request(folders["sd"], weights=kind)))
        states[kind] = {f"{part}.{n}": t for part, net in model.networks.items() for n, t in net.state_dict().items()}
        layers[kind] = {f"{part}.{name}.weight" for part, name in packed(model)}
    changed = layers["int8"]
    rest = states["plain"].keys() - changed
    assert changed
    assert all(torch.equal(states["plain"][name], states["int8"][name]) for name in rest)


def test_without_it_nothing_is_packed(folders: dict[str, Path], host: PluginHost) -> None:
    for settings in ({}, {"weights": "plain"}):
        engine = Engine(host)
        assert not packed(engine.load(engine.prepare(request(folders["sd"], **settings))))


@pytest.mark.parametrize(
    ("family", "rows"), [("sd", False), ("sd", True), ("flux", False)], ids=["sd", "a scale for each row", "flux"]
)
def test_float8_files_are_kept_to_the_bit(
    folders: dict[str, Path], host: PluginHost, tmp_path: Path, family: str, rows: bool
) -> None:
    part, prefix = ("unet", "model.diffusion_model.") if family == "sd" else ("transformer", "")
    folder, variant = folders[family], "sd15" if family == "sd" else "dev"
    stored, _ = scaled_float8(original(folder, part, places(family)[part]), "scaled_fp8", prefix=prefix, rows=rows)
    save_file(stored, tmp_path / "scaled.safetensors")
    encoders = [("text-encoder", found) for found in sorted(folder.glob("text_encoder*"))]
    files = ModelFiles(tmp_path / "scaled.safetensors", (("vae", folder / "vae"), *encoders), folder)  # type: ignore[arg-type]
    checkpoint = host.families.load(family)(files, variant)
    expected = checkpoint.load(CPU, torch.float32).networks[part].state_dict()
    kept = packed(checkpoint.storing("float8").load(CPU, torch.float32))
    layers = {name: layer for (place, name), layer in kept.items() if place == part}
    matrices = {name: layer for name, layer in layers.items() if expected[f"{name}.weight"].ndim == 2}
    assert matrices
    for name, layer in matrices.items():
        assert torch.equal(dequantised(layer.weight), expected[f"{name}.weight"])


@pytest.mark.parametrize("kind", KINDS)
def test_loras_are_computed_beside_them(folders: dict[str, Path], host: PluginHost, tmp_path: Path, kind: str) -> None:
    engine = Engine(host)
    small = request(folders["sd"], weights=kind)
    plain = Engine(host)
    model = plain.load(plain.prepare(request(folders["sd"])))
    file = write(tmp_path / "lora.safetensors", diffusers(random_lora(model.networks)))
    ours = engine.generate(small.model_copy(update={"loras": (LoraRequest(path=str(file)),)})).latents
    small_model = engine.load(engine.prepare(small))
    for (part, name), layer in packed(small_model).items():
        weight = model.networks[part].get_parameter(f"{name}.weight")
        weight.data = dequantised(layer.weight).reshape(weight.shape)
    expected = plain.generate(request(folders["sd"], loras=(LoraRequest(path=str(file)),))).latents
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
    assert not torch.equal(ours, engine.generate(small).latents)


def test_merged_loras_are_refused_before_weights_are_read(
    folders: dict[str, Path], host: PluginHost, tmp_path: Path
) -> None:
    engine = Engine(host)
    lora = random_lora(engine.load(engine.prepare(request(folders["sd"]))).networks)
    file = write(tmp_path / "lora.safetensors", diffusers(lora))
    asked = request(folders["sd"], weights="int8", loras=(LoraRequest(path=str(file)),), lora_mode="merged")
    with pytest.raises(OptionError, match="merged into int8 weights") as caught:
        Engine(host).prepare(asked)
    assert caught.value.field == "lora_mode"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", [MemoryPolicy(offload="model"), MemoryPolicy(offload="blocks")])
def test_offload_changes_no_bit(folders: dict[str, Path], host: PluginHost, policy: MemoryPolicy, kind: str) -> None:
    wanted = request(folders["sd"], weights=kind)
    moved = Engine(host, policy, move=lambda tensor, device: copied(tensor)).generate(wanted).latents
    assert torch.equal(moved, Engine(host).generate(wanted).latents)


def test_the_recipe_says_it(folders: dict[str, Path], host: PluginHost) -> None:
    result = Engine(host, MemoryPolicy(weights="int8")).generate(request(folders["sd"]))
    recipe = Recipe.model_validate_json(result.recipes[0].model_dump_json())
    assert recipe.request.weights == "int8"
    assert torch.equal(Engine(host).generate(recipe.request).latents, result.latents)


def test_recipes_from_before_there_was_a_choice_are_made_with_whole_weights(
    folders: dict[str, Path], host: PluginHost
) -> None:
    """Whatever the host that makes them again keeps weights in."""
    first = Engine(host).generate(request(folders["sd"]))
    recipe = first.recipes[0]
    older = recipe.model_copy(update={"request": recipe.request.model_copy(update={"weights": None})})
    again = Engine(host, MemoryPolicy(weights="int4")).reproduce(older)
    assert torch.equal(again.latents, first.latents)
