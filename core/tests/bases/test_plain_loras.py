"""LoRAs of networks in plain PyTorch do what adding their products to the weights by hand does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from latentry import Curve, IncompatibleError, LoraMode, LoraRequest, ModelError
from latentry._bases._loras import Loras
from latentry._bases._peft import read_settings
from latentry._contract._lora import ChosenLoras


def network(seed: int = 0) -> nn.Sequential:
    """A convolution with padding and stride, and a linear layer over its channels."""
    torch.manual_seed(seed)
    linear = nn.Sequential(nn.Flatten(2), nn.Linear(16, 5), nn.Linear(5, 5))
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), linear).requires_grad_(False)


def factors(seed: int, rank: int = 2) -> dict[str, tuple[Tensor, Tensor]]:
    """up and down of two layers."""
    made = torch.Generator().manual_seed(seed)
    conv = torch.randn(4, rank, 1, 1, generator=made), torch.randn(rank, 3, 3, 3, generator=made)
    return {"0": conv, "1.1": (torch.randn(5, rank, generator=made), torch.randn(rank, 16, generator=made))}


def written(path: Path, pairs: Mapping[str, tuple[Tensor, Tensor]], layout: str, **more: Tensor) -> str:
    """A file in a layout of ``LAYOUTS``."""
    start, up, down = LAYOUTS[layout]
    tensors = {
        f"{start}{name}.{word}.weight": pair[at] for name, pair in pairs.items() for at, word in ((0, up), (1, down))
    }
    save_file(tensors | {f"{start}{name}": value for name, value in more.items()}, path)
    return str(path)


LAYOUTS = {
    "diffusers": ("denoiser.", "lora_B", "lora_A"),
    "PEFT": ("base_model.model.", "lora_B", "lora_A"),
    "older": ("denoiser.", "lora_up", "lora_down"),
    "no part": ("", "lora_up", "lora_down"),
}


def by_hand(*added: tuple[float, Mapping[str, tuple[Tensor, Tensor]]]) -> nn.Sequential:
    """The network with weights that hold the products."""
    made = network()
    for scale, pairs in added:
        for name, (up, down) in pairs.items():
            weight = made.get_submodule(name).weight
            assert isinstance(weight, Tensor)
            weight += scale * torch.einsum("or,ri->oi", up.flatten(1), down.flatten(1)).reshape(weight.shape)
    return made


X = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("mode", ["unmerged", "merged"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_is_the_network_with_the_product_in_its_weights(tmp_path: Path, layout: str, mode: LoraMode) -> None:
    path = written(tmp_path / "a.safetensors", factors(1), layout)
    ours = network()
    loras = Loras({"denoiser": ours})
    found = loras.match(Path(path))
    assert (found.parts, found.layers, found.unmatched) == (("denoiser",), 2, ())
    with loras.set([LoraRequest(path=path, weight=0.7)], mode):
        torch.testing.assert_close(ours(X), by_hand((0.7, factors(1)))(X), rtol=1e-5, atol=1e-5)
    assert torch.equal(ours(X), network()(X))


@pytest.mark.parametrize("mode", ["unmerged", "merged"])
def test_alpha_weights_and_several_files(tmp_path: Path, mode: LoraMode) -> None:
    first = written(tmp_path / "a.safetensors", factors(1, rank=4), "older", **{"0.alpha": torch.tensor(2.0)})
    second = written(tmp_path / "b.safetensors", factors(2), "diffusers")
    halved = {"0": factors(1, rank=4)["0"]}
    expected = by_hand((0.5, halved), (1.0, {"1.1": factors(1, rank=4)["1.1"]}), (-0.3, factors(2)))
    ours = network()
    loras = Loras({"denoiser": ours})
    with loras.set([LoraRequest(path=first), LoraRequest(path=second, weight=5, denoiser=-0.3)], mode):
        torch.testing.assert_close(ours(X), expected(X), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "scales"),
    [
        ({"lora_alpha": 6, "r": 4}, {"0": 1.5, "1.1": 1.5}),
        ({"lora_alpha": 6, "use_rslora": True}, {"0": 3.0, "1.1": 3.0}),
        ({"lora_alpha": 6, "alpha_pattern": {"1.1": 2}}, {"0": 1.5, "1.1": 0.5}),
        ({"lora_alpha": 6, "alpha_pattern": {"^1": 2}}, {"0": 1.5, "1.1": 1.5}),
        ({"lora_alpha": None}, {"0": 1.0, "1.1": 1.0}),
    ],
)
def test_pefts_settings_beside_it_scale_it(
    tmp_path: Path, settings: dict[str, object], scales: dict[str, float]
) -> None:
    pairs = factors(1, rank=4)
    path = Path(written(tmp_path / "adapter_model.safetensors", pairs, "PEFT"))
    ours = network()
    loras = Loras({"denoiser": ours})
    assert "alpha = rank is assumed" in loras.match(path).notes[0]
    alone = loras.match(path).digest
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"} | settings))
    match = loras.match(path)
    assert not match.notes
    assert match.digest != alone
    expected = by_hand(*((0.1 * scale, {name: pairs[name]}) for name, scale in scales.items()))
    with loras.set([LoraRequest(path=str(path), weight=0.1)], "unmerged"):
        torch.testing.assert_close(ours(X), expected(X), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The following alpha_pattern keys:RuntimeWarning")
def test_the_scale_of_each_layer_is_that_of_peft(tmp_path: Path) -> None:
    """Of patterns by name; PEFT is given the network, the settings and nothing else."""
    peft = pytest.importorskip("peft")
    layers = ("blocks.0.attn", "blocks.1.attn", "blocks.11.attn", "attn")
    patterns: dict[str, float] = {r"^blocks\.0\.attn$": 3, "1.attn": 20, "^attn": 5, "tn": 7}
    for root_scale in (False, True):
        whole = nn.Module()
        whole.blocks = nn.ModuleList(nn.ModuleDict({"attn": nn.Linear(4, 4)}) for _ in range(12))
        whole.attn = nn.Linear(4, 4)
        options = {"r": 8, "lora_alpha": 16, "alpha_pattern": patterns, "use_rslora": root_scale}
        theirs = peft.inject_adapter_in_model(peft.LoraConfig(**options, target_modules=["attn"]), whole)
        (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"} | options))
        settings = read_settings(tmp_path / "a.safetensors")
        assert settings is not None
        for layer in layers:
            expected = theirs.get_submodule(layer).scaling["default"]
            assert settings.scale(layer, 8) == pytest.approx(expected), layer


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"lora_alpha": 8, "alpha_pattern": {r"blocks\.[0-3]\.attn": 32}}, "not the name of a layer"),
        ({"peft_type": "LOHA"}, "LOHA is not supported"),
        ({"use_dora": True}, "DoRA is not supported"),
    ],
)
def test_settings_that_would_be_applied_in_part_are_refused(
    tmp_path: Path, settings: dict[str, object], says: str
) -> None:
    path = Path(written(tmp_path / "a.safetensors", factors(1), "PEFT"))
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match=says):
        Loras({"denoiser": network()}).match(path)


@pytest.mark.parametrize("text", ["[", '"a"', '{"lora_alpha": "much"}', '{"lora_alpha": Infinity}'])
def test_settings_that_cannot_be_read_are_one_error(tmp_path: Path, text: str) -> None:
    path = Path(written(tmp_path / "a.safetensors", factors(1), "PEFT"))
    (tmp_path / "adapter_config.json").write_text(text)
    with pytest.raises(ModelError, match="cannot be read"):
        Loras({"denoiser": network()}).match(path)


def test_a_weight_that_changes_has_the_bits_of_each_number(tmp_path: Path) -> None:
    """Beside one that keeps its weight; outside a run it is that of the start."""
    paths = [written(tmp_path / f"{seed}.safetensors", factors(seed), "diffusers") for seed in (1, 2)]
    ours, curve = network(), Curve.parse("0.5@0,-1@1")
    loras, kept = Loras({"denoiser": ours}), LoraRequest(path=paths[1], weight=0.7)
    expected = {}
    for weight in (0.5, 0.0, -1.0):
        with loras.set([LoraRequest(path=paths[0], weight=weight), kept], "unmerged"):
            expected[weight] = ours(X)
    with loras.set([LoraRequest(path=paths[0], weight=curve), kept], "unmerged"):
        for weight, one in expected.items():
            with loras.weighing([(weight,)]):
                torch.testing.assert_close(ours(X), one, rtol=1e-6, atol=1e-6)
        assert torch.equal(ours(X), expected[0.5])
    with pytest.raises(IncompatibleError, match="cannot be merged"):
        loras.set([LoraRequest(path=paths[0], weight=curve)], "merged")
    assert torch.equal(ours(X), network()(X))


@pytest.mark.parametrize("others", [("denoiser",), ("denoiser", "text_encoder_2"), ("denoiser", "vae"), ("vae",)])
def test_jobs_wear_it_as_generate_does(tmp_path: Path, others: tuple[str, ...]) -> None:
    """Jobs share it at any weight only where each evaluation is told its own; a VAE is not evaluated within one."""
    pairs = {f"{part}.{name}": pair for part in others for name, pair in factors(1).items()}
    path = written(tmp_path / "a.safetensors", pairs, "no part")
    networks = {part: network() for part in ("denoiser", "text_encoder_2", "vae")}
    loras, lora = Loras(networks), LoraRequest(path=path, weight=0.3)
    match = loras.match(Path(path))
    assert match.varies == ("vae" not in others)
    chosen = ChosenLoras((lora,), "unmerged", (match,), (match.digest,))
    with loras.set(chosen.requests, "unmerged"):
        alone = {part: each(X) for part, each in networks.items()}
    with loras.set(chosen.opened.requests, "unmerged"):
        outside = {part: networks[part](X) for part in ("text_encoder_2", "vae")}
        with loras.weighing([[curve.first for curve in chosen.curves_of(chosen.opened)]]):
            outside["denoiser"] = networks["denoiser"](X)
    assert all(torch.equal(outside[part], alone[part]) for part in networks)


def test_others_replace_them_and_the_end_of_a_block_brings_them_back(tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{seed}.safetensors", factors(seed), "diffusers") for seed in (1, 2)]
    ours = network()
    loras = Loras({"denoiser": ours})
    first, second = ([LoraRequest(path=path)] for path in paths)
    with loras.set(first, "merged"):
        alone = ours(X)
        with loras.set(second, "unmerged"):
            torch.testing.assert_close(ours(X), by_hand((1.0, factors(2)))(X), rtol=1e-5, atol=1e-5)
        assert torch.equal(ours(X), alone)
        with pytest.raises(ModelError, match="There is no LoRA"):
            loras.set([LoraRequest(path="absent.safetensors")], "merged")
        assert torch.equal(ours(X), alone)
        loras.set([], "unmerged")
        assert torch.equal(ours(X), network()(X))


def test_other_layers_are_told_and_a_model_without_any_of_them_refuses(tmp_path: Path) -> None:
    pairs = factors(1) | {"up_blocks.0": factors(1)["1.1"]}
    (found,) = [Loras({"denoiser": network()}).match(Path(written(tmp_path / "a.safetensors", pairs, "no part")))]
    assert found.unmatched == ("up_blocks.0",)
    assert found.notes == ("a.safetensors is also for layers that this model does not have: up_blocks.0.",)
    with pytest.raises(IncompatibleError, match="changes no layer"):
        Loras({"denoiser": nn.Linear(2, 2)}).match(tmp_path / "a.safetensors")


PAIR = factors(1)["1.1"]


@pytest.mark.parametrize(
    ("pairs", "more", "words"),
    [
        ({"1.1": (PAIR[0], PAIR[1][:, :9].contiguous())}, {}, r"changes a weight \(5, 9\) of 1.1, which has \(5, 16\)"),
        ({"1.1": (PAIR[0][:, :1].contiguous(), PAIR[1])}, {}, r"factors of 1.1 have the shapes \(5, 1\) and \(2, 16\)"),
        ({"1.1": (PAIR[0] / 0, PAIR[1])}, {}, "not finite"),
        ({"1.1": PAIR}, {"1.1.dora_scale": torch.ones(5)}, "It holds 1.1.dora_scale"),
        ({}, {"1.1.lora_up.weight": PAIR[0]}, "Of 1.1 it lacks the factor down"),
        ({}, {}, "It is empty"),
    ],
)
def test_what_cannot_be_read_is_one_error(
    tmp_path: Path, pairs: Mapping[str, tuple[Tensor, Tensor]], more: Mapping[str, Tensor], words: str
) -> None:
    path = written(tmp_path / "a.safetensors", pairs, "no part", **more)
    with pytest.raises((IncompatibleError, ModelError), match=words) as caught:
        Loras({"denoiser": network()}).match(Path(path))
    assert caught.value.remedy
