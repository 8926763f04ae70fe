"""LoRA, DoRA, LoHa, LoKr and OFT on a small network: PEFT's own results, and formulas where PEFT has no such layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from diffusers.quantizers.gguf.utils import GGUFParameter
from support.loras import write
from support.peft_adapters import CONFIGS, Small, lycoris, merged, run, save, set_weight, with_adapter
from torch import Tensor, nn

from latentry import LoraMode, LoraRequest
from latentry_diffusers.layouts import Pair
from latentry_diffusers.loading.quantised import QuantisedLinear, as_blocks, dequantised
from latentry_diffusers.lora import Adapters
from latentry_diffusers.lora._terms import Addition, Decomposition

MODES: tuple[LoraMode, ...] = ("unmerged", "merged")
TOLERANCE = 1e-5


@pytest.fixture
def network() -> Small:
    """Without gradients."""
    return Small().eval().requires_grad_(False)


def ours(network: nn.Module, mode: LoraMode, *loras: LoraRequest, originals: Sequence[Pair] = ()) -> Tensor:
    """The same with adapters. Afterwards all weights must be what they were, bit for bit."""
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with Adapters({"unet": network}, lambda: originals).set(loras, mode):
        found = run(network)
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not any(module._forward_hooks for module in network.modules())
    return found


def file(folder: Path, tensors: Mapping[str, Tensor], **about: Any) -> LoraRequest:
    """An adapter in a file."""
    name = f"{len(list(folder.iterdir()))}.safetensors"
    return LoraRequest(path=str(write(folder / name, {key: value.float() for key, value in tensors.items()})), **about)


def apart(one: Tensor, other: Tensor) -> float:
    """The largest difference."""
    return float((one - other).abs().max())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", CONFIGS)
def test_every_kind_does_what_it_does_in_peft(network: Small, tmp_path: Path, kind: str, mode: LoraMode) -> None:
    model = with_adapter(network, kind)
    save(model, tmp_path)
    # PEFT's unmerged OFT sums overlapping patches of a convolution; what it merges is what OFT defines
    theirs = run(merged(model) if kind.startswith("OFT") else model)
    assert apart(ours(network, mode, LoraRequest(path=str(tmp_path))), theirs) < TOLERANCE
    assert apart(theirs, run(network)) > 0.01


@pytest.mark.parametrize("weight", [0.6, -1.5])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", [kind for kind in CONFIGS if not kind.startswith("OFT")])
def test_a_weight_scales_what_peft_scales(
    network: Small, tmp_path: Path, kind: str, mode: LoraMode, weight: float
) -> None:
    """DoRA's magnitudes hold for any weight."""
    model = with_adapter(network, kind)
    save(model, tmp_path)
    set_weight(model, weight)
    found = ours(network, mode, LoraRequest(path=str(tmp_path), weight=weight))
    assert apart(found, run(model)) < TOLERANCE
    assert apart(found, ours(network, mode, LoraRequest(path=str(tmp_path)))) > 0.005


@pytest.mark.parametrize("mode", MODES)
def test_a_weight_takes_a_rotation_by_its_share(network: Small, tmp_path: Path, mode: LoraMode) -> None:
    """PEFT cannot; LyCORIS adds that share of the difference."""
    model = with_adapter(network, "OFT")
    save(model, tmp_path)
    turned, halfway = merged(model), deepcopy(network)
    for name, parameter in halfway.named_parameters():
        parameter.lerp_(turned.get_parameter(name), -0.4)
    assert apart(ours(network, mode, LoraRequest(path=str(tmp_path), weight=-0.4)), run(halfway)) < TOLERANCE


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", [kind for kind in CONFIGS if not kind.startswith("OFT") and "bias" not in kind])
def test_the_same_adapter_in_lycoris_layout(network: Small, tmp_path: Path, kind: str, mode: LoraMode) -> None:
    model = with_adapter(network, kind)
    found = ours(network, mode, file(tmp_path, lycoris(model)))
    assert apart(found, run(model)) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_adapters_of_all_kinds_add_up(network: Small, tmp_path: Path, mode: LoraMode) -> None:
    """Each adds its own change of the model's weights, in any order."""
    kinds, weights = (
        ("LoRA", "LoRA with biases", "DoRA", "LoHa, Tucker", "LoKr", "OFT"),
        (0.7, -0.3, 0.8, 1.0, -0.5, 1.0),
    )
    expected, loras = deepcopy(network), []
    bare = dict(network.named_parameters())
    for number, (kind, weight) in enumerate(zip(kinds, weights, strict=True)):
        layers = ["conv_in", "one", "out"] if "bias" in kind else None  # PEFT adds to biases that there are
        model = with_adapter(network, kind, layers, seed=number)
        loras.append(LoraRequest(path=str(save(model, tmp_path / str(number))), weight=weight))
        set_weight(model, weight)
        changed = dict(merged(model).named_parameters())
        for name, parameter in expected.named_parameters():
            parameter += changed[name] - bare[name]
    found = ours(network, mode, *loras)
    assert apart(found, run(expected)) < TOLERANCE
    assert apart(found, ours(network, mode, *loras[::-1])) < TOLERANCE
    for left_out in range(len(loras)):
        assert apart(found, ours(network, mode, *loras[:left_out], *loras[left_out + 1 :])) > 0.01


@torch.no_grad()
@pytest.mark.parametrize("mode", MODES)
def test_rotations_follow_one_another_as_in_peft(tmp_path: Path, mode: LoraMode) -> None:
    """In the order in which PEFT merges them; unmerged, PEFT turns a layer's input, which comes to the other order."""
    network, layers = nn.Sequential(nn.Linear(8, 12, bias=False), nn.Tanh(), nn.Linear(12, 4)), ["0", "2"]
    x = torch.randn((2, 5, 8), generator=torch.Generator().manual_seed(6))
    both = with_adapter(network, "OFT", layers)
    both.add_adapter("second", CONFIGS["OFT, exact inverse"](layers))
    both.base_model.set_adapter(["default", "second"])
    both.save_pretrained(tmp_path)
    one, other = (LoraRequest(path=str(path)) for path in (tmp_path, tmp_path / "second"))
    found = {}
    for loras in ((one, other), (other, one), (one,)):
        with Adapters({"unet": network}, lambda: ()).set(loras, mode):
            found[loras] = network(x)
    assert apart(found[other, one], both(x)) < TOLERANCE
    theirs = both.merge_and_unload(adapter_names=["default", "second"])(x)
    assert apart(found[one, other], theirs) < TOLERANCE
    assert apart(found[other, one], theirs) > 0.01
    assert apart(found[one,], theirs) > 0.01


@pytest.mark.parametrize("kind", CONFIGS)
def test_what_is_kept_between_calls_changes_no_bit(
    network: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """DoRA's norms and LoKr's second factor are computed at the first call alone."""
    save(with_adapter(network, kind), tmp_path)
    measured, norm = [], Tensor.norm

    def counted(self: Tensor, *given: Any, **options: Any) -> Tensor:
        measured.append(self)
        return norm(self, *given, **options)

    monkeypatch.setattr(Tensor, "norm", counted)
    with Adapters({"unet": network}, lambda: ()).set((LoraRequest(path=str(tmp_path)),), "unmerged"):
        first, norms = run(network), len(measured)
        assert torch.equal(run(network), first)
        assert len(measured) == norms
    for term in (Addition, Decomposition):
        monkeypatch.setattr(term, "prepared", lambda self, read: self)
    assert torch.equal(ours(network, "unmerged", LoraRequest(path=str(tmp_path))), first)
    assert norms > 0 or "DoRA" not in kind


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", ["DoRA", "LoHa, Tucker", "LoKr", "OFT", "LoRA with biases"])
@pytest.mark.parametrize("mode", MODES)
def test_half_precision(network: Small, tmp_path: Path, kind: str, mode: LoraMode, dtype: torch.dtype) -> None:
    save(with_adapter(network, kind), tmp_path)
    lora = LoraRequest(path=str(tmp_path))
    exact = ours(network, mode, lora)
    found = ours(network.to(dtype), mode, lora)
    assert found.dtype == dtype
    rounding = 2**-10 if dtype == torch.float16 else 2**-7
    assert apart(found.float(), exact) < 16 * rounding * float(exact.abs().max())


@pytest.mark.parametrize("kind", ["LoRA", "LoRA with biases", "DoRA", "LoHa", "LoKr", "OFT"])
def test_quantised_weights(tmp_path: Path, kind: str) -> None:
    """GGUF's blocks: the same as on a layer that holds their values."""
    q8, values = gguf.GGMLQuantizationType.Q8_0, torch.randn(6, 32, generator=torch.Generator().manual_seed(4))
    blocks = GGUFParameter(torch.from_numpy(gguf.quants.quantize(values.numpy(), q8)), quant_type=q8)
    layer = QuantisedLinear(32, 6, False, compute_dtype=torch.float32, device="meta").requires_grad_(False)
    layer.weight = as_blocks(blocks)
    plain = nn.Linear(32, 6, bias=False).requires_grad_(False)
    plain.weight.data = dequantised(layer.weight, torch.float32)
    model = with_adapter(nn.ModuleDict({"layer": plain}), kind)
    save(model, tmp_path)
    x, before = torch.randn(3, 32, generator=torch.Generator().manual_seed(5)), layer.weight.clone()
    adapters = Adapters({"unet": nn.ModuleDict({"layer": layer})}, lambda: ())
    with adapters.set([LoraRequest(path=str(tmp_path))], "unmerged"):
        found = layer(x)
    assert apart(found, model.base_model.model["layer"](x).detach()) < TOLERANCE
    assert apart(found, plain(x)) > 0.05
    assert torch.equal(layer.weight, before)


def random(*shape: int, seed: int = 0) -> Tensor:
    """Normal values in float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=torch.float64)


def cayley(q: Tensor) -> Tensor:
    """(I + Q)(I − Q)⁻¹."""
    one = torch.eye(len(q), dtype=q.dtype)
    return (one + q) @ torch.linalg.inv(one - q)


def check_dense(
    network: Small, folder: Path, layer: str, tensors: Mapping[str, Tensor], changed: Callable[[Tensor], Tensor]
) -> None:
    """An adapter in LyCORIS' layout, both ways, against a new weight that a formula gives in float64."""
    expected = deepcopy(network)
    own = expected.get_submodule(layer)
    own.weight.data = changed(own.weight.double()).float()
    lora = file(folder, {f"lora_unet_{layer}.{slot}": tensor for slot, tensor in tensors.items()})
    for mode in MODES:
        assert apart(ours(network, mode, lora), run(expected)) < TOLERANCE
    assert apart(run(expected), run(network)) > 0.01


def test_lora_with_a_core(network: Small, tmp_path: Path) -> None:
    """Tucker's decomposition of a convolution, of two ranks."""
    up, mid, down = random(12, 3, 1, 1), random(3, 2, 3, 3), random(2, 8, 1, 1)
    change = torch.zeros(12, 8, 3, 3, dtype=torch.float64)
    for p in range(3):
        for q in range(2):
            change += up[:, p].view(12, 1, 1, 1) * mid[p, q] * down[q].view(8, 1, 1)
    tensors = {"lora_up.weight": up, "lora_mid.weight": mid, "lora_down.weight": down, "alpha": torch.tensor(0.6)}
    check_dense(network, tmp_path, "wide", tensors, lambda weight: weight + 0.3 * change)


@pytest.mark.parametrize("layer", ["wide", "linear"])
def test_dora_with_a_magnitude_for_each_input(network: Small, tmp_path: Path, layer: str) -> None:
    """As LyCORIS and OneTrainer write it by default in some versions."""
    weight = network.get_submodule(layer).weight
    outputs, inputs, *kernel = weight.shape
    up, down = 0.3 * random(outputs, 2, *[1] * len(kernel)), random(2, inputs, *kernel)
    magnitude = 1 + random(1, inputs, *[1] * len(kernel)).abs()
    product = (up.flatten(1) @ down.flatten(1)).view(weight.shape)

    def changed(weight: Tensor) -> Tensor:
        raw = weight + product
        norms = torch.stack([raw[:, i].norm() for i in range(inputs)]).view(magnitude.shape)
        return magnitude * raw / norms

    tensors = {"lora_up.weight": up, "lora_down.weight": down, "dora_scale": magnitude, "alpha": torch.tensor(2.0)}
    check_dense(network, tmp_path, layer, tensors, changed)


@pytest.mark.parametrize("layer", ["wide", "linear"])
@pytest.mark.parametrize("bound", [0.0, 0.03])
def test_lycoris_oft_turns_and_scales_the_outputs(network: Small, tmp_path: Path, layer: str, bound: float) -> None:
    """What is called alpha bounds the norm of Q, times the number of outputs."""
    blocks, rescale = 0.3 * random(3, 4, 4), 1 + 0.1 * random(12, 1)
    q = torch.block_diag(*(blocks - blocks.mT))
    if bound:
        assert float(q.norm()) > bound * 12
        q *= bound * 12 / q.norm()
    tensors = {"oft_blocks": blocks, "rescale": rescale, "alpha": torch.tensor(bound)}
    check_dense(network, tmp_path, layer, tensors, lambda w: (rescale * (cayley(q).T @ w.flatten(1))).view(w.shape))


@pytest.mark.parametrize("layer", ["wide", "linear"])
def test_peft_before_0_14_turns_the_outputs(network: Small, tmp_path: Path, layer: str) -> None:
    blocks = 0.5 * random(3, 4, 4)
    rotation = cayley(torch.block_diag(*(blocks.mT - blocks)) / 2)
    check_dense(network, tmp_path, layer, {"oft_r": blocks}, lambda w: (rotation.T @ w.flatten(1)).view(w.shape))


@pytest.mark.parametrize("layer", ["wide", "linear"])
def test_peft_0_14_turns_the_inputs_and_scales_the_outputs(network: Small, tmp_path: Path, layer: str) -> None:
    columns = network.get_submodule(layer).weight[0].numel()
    blocks, scale = 0.5 * random(columns // 4, 4, 4), 1 + 0.1 * random(12, 1)
    rotation = cayley(torch.block_diag(*(blocks.mT - blocks)) / 2)
    tensors = {"oft_r": blocks, "oft_s": scale}
    check_dense(network, tmp_path, layer, tensors, lambda w: (scale * (w.flatten(1) @ rotation.T)).view(w.shape))


@pytest.mark.parametrize("mode", MODES)
def test_rotations_keep_the_angles_between_neurons(network: Small, tmp_path: Path, mode: LoraMode) -> None:
    """The property that OFT is named for: all products of two inputs' columns stay, whatever was trained."""
    lora = file(
        tmp_path, {"lora_unet_linear.oft_blocks": 3 * random(3, 4, 4), "lora_unet_linear.alpha": torch.zeros(1)}
    )
    before, x = network.linear.weight.clone(), torch.eye(8)
    with Adapters({"unet": network}, lambda: ()).set([lora], mode):
        turned = network.linear(x).T
    assert apart(turned.T @ turned, before.T @ before) < TOLERANCE
    assert apart(turned, before) > 0.1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("weight", [1.0, -0.5])
def test_whole_differences_of_weights_and_biases(network: Small, tmp_path: Path, mode: LoraMode, weight: float) -> None:
    """Also for layers that have no bias."""
    differences = {name: 0.2 * random(*value.shape).float() for name, value in network.named_parameters()}
    differences["wide.bias"] = random(12).float()
    tensors = {
        "diffusion_model." + name.replace(".weight", ".diff").replace(".bias", ".diff_b"): value
        for name, value in differences.items()
    }
    expected = deepcopy(network)
    expected.wide.bias = nn.Parameter(torch.zeros(12), requires_grad=False)
    for name, parameter in expected.named_parameters():
        parameter += weight * differences[name]
    assert apart(ours(network, mode, file(tmp_path, tensors, weight=weight)), run(expected)) < TOLERANCE


class Attention(nn.Module):
    """Three layers that are one in the original layout, and one whose halves are exchanged there."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.q, self.k, self.v = (nn.Linear(8, 6, bias=False) for _ in range(3))
        self.last = nn.Linear(18, 4)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 4, height, width) to (batch, 4), by way of eight numbers."""
        x = x.flatten(1)[:, :8]
        out: Tensor = self.last(torch.cat([self.q(x), self.k(x), self.v(x)], dim=1))
        return out


ORIGINALS = (Pair("qkv.weight", ("q.weight", "k.weight", "v.weight")), Pair("end.weight", ("last.weight",), "halves"))


def stacked_kinds() -> Mapping[str, tuple[dict[str, Tensor], Callable[[Tensor, int], Tensor]]]:
    """Tensors for a layer (18, 8), and the new weight that they make of the old one with some number of rows."""
    up, down = random(18, 2), random(2, 8)
    other_up, other_down = random(18, 2, seed=1), random(2, 8, seed=1)
    first, second = random(6, 2), random(3, 4)
    outputs, inputs = 1 + random(18, 1).abs(), 1 + random(1, 8).abs()
    blocks = random(2, 9, 9)  # the first reaches into the second of the layers with six rows each
    rotation = cayley(torch.block_diag(*(blocks - blocks.mT)))
    factors = {"lora_up.weight": up, "lora_down.weight": down}
    hadamard = {"hada_w1_a": up, "hada_w1_b": down, "hada_w2_a": other_up, "hada_w2_b": other_down}
    raw = lambda w: w + up @ down  # noqa: E731
    return {
        "LoHa": (hadamard, lambda w: w + (up @ down) * (other_up @ other_down)),
        "LoKr": ({"lokr_w1": first, "lokr_w2": second}, lambda w: w + torch.kron(first, second)),
        "difference": ({"diff": up @ down}, raw),
        "DoRA by outputs": (
            factors | {"dora_scale": outputs},
            lambda w: outputs * raw(w) / raw(w).norm(dim=1)[:, None],
        ),
        "DoRA by inputs": (factors | {"dora_scale": inputs}, lambda w: inputs * raw(w) / raw(w).norm(dim=0)),
        "OFT": ({"oft_blocks": blocks}, lambda w: rotation.T @ w),
    }


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", stacked_kinds())
def test_layers_that_are_one_layer_in_the_file(tmp_path: Path, kind: str, mode: LoraMode) -> None:
    """Some kinds look at all rows of the file's layer, which belong to three layers here."""
    network, (tensors, changed) = Attention().eval().requires_grad_(False), stacked_kinds()[kind]
    lora = file(tmp_path, {f"lora_unet_qkv.{slot}": tensor for slot, tensor in tensors.items()})
    expected = deepcopy(network)
    layers = (expected.q, expected.k, expected.v)
    new = changed(torch.cat([layer.weight for layer in layers]).double()).float()
    for layer, rows in zip(layers, new.split(6), strict=True):
        layer.weight.data = rows
    found = ours(network, mode, lora, originals=ORIGINALS)
    assert apart(found, run(expected)) < TOLERANCE
    assert apart(found, run(network)) > 0.01


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["DoRA by outputs", "OFT", "LoKr"])
def test_a_layer_whose_halves_are_exchanged_in_the_file(tmp_path: Path, kind: str, mode: LoraMode) -> None:
    network = Attention().eval().requires_grad_(False)
    blocks, outputs = random(1, 4, 4), 1 + random(4, 1).abs()
    up, down, first, second = random(4, 2), random(2, 18), random(2, 3), random(2, 6)
    raw = lambda w: w + up @ down  # noqa: E731
    rotation = cayley(blocks[0] - blocks[0].T)
    factors = {"lora_up.weight": up, "lora_down.weight": down}
    tensors, changed = {
        "DoRA by outputs": (
            factors | {"dora_scale": outputs},
            lambda w: outputs * raw(w) / raw(w).norm(dim=1)[:, None],
        ),
        "OFT": ({"oft_blocks": blocks}, lambda w: rotation.T @ w),
        "LoKr": ({"lokr_w1": first, "lokr_w2": second}, lambda w: w + torch.kron(first, second)),
    }[kind]
    lora = file(tmp_path, {f"lora_unet_end.{slot}": tensor for slot, tensor in tensors.items()})
    expected = deepcopy(network)
    new = changed(expected.last.weight.double().roll(2, 0)).roll(2, 0)
    expected.last.weight.data = new.float()
    assert apart(ours(network, mode, lora, originals=ORIGINALS), run(expected)) < TOLERANCE
    assert apart(run(expected), run(network)) > 0.01


def test_ai_toolkits_name_of_the_magnitudes(network: Small, tmp_path: Path) -> None:
    model = with_adapter(network, "DoRA", ["linear"])
    tensors = lycoris(model, "")
    tensors["linear.magnitude"] = tensors.pop("linear.dora_scale").flatten()
    assert apart(ours(network, "unmerged", file(tmp_path, tensors)), run(model)) < TOLERANCE
