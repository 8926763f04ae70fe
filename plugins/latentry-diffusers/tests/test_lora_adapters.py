"""LoRAs on networks: merged and unmerged, several at once, and taken off again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from diffusers.quantizers.gguf.utils import GGUFParameter
from support.loras import Loras, diffusers, merge, random_lora, write
from torch import Tensor, nn

from latentry import IncompatibleError, LoraMode, LoraRequest
from latentry_diffusers.loading.quantised import QuantisedLinear, as_blocks
from latentry_diffusers.lora import Adapters
from latentry_diffusers.lora._layer_change import LayerChange

MODES: tuple[LoraMode, ...] = ("unmerged", "merged")


class Small(nn.Module):
    """A network of a linear layer and of convolutions of every stride, padding and dilation that is used."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv_in = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.wide = nn.Conv2d(6, 4, 3, padding=2, dilation=2, bias=False)
        self.one = nn.Conv2d(4, 5, 1)
        self.linear = nn.Linear(5, 7)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, 3, height, width) to (batch, h, w, 7)."""
        x = self.wide(self.conv_in(x).relu())
        linear: Tensor = self.linear(self.one(x).permute(0, 2, 3, 1))
        return linear


class Encoder(nn.Module):
    """A text encoder of one layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        """One layer."""
        out: Tensor = self.layer(x)
        return out


@pytest.fixture
def networks() -> dict[str, nn.Module]:
    """The networks of one model."""
    return {"unet": Small(), "text_encoder": Encoder()}


@pytest.fixture
def adapters(networks: Mapping[str, nn.Module]) -> Adapters:
    """The adapters of that model."""
    return Adapters(networks, lambda: ())


def inputs(dtype: torch.dtype = torch.float32) -> Tensor:
    """A picture."""
    return torch.randn((2, 3, 12, 10), generator=torch.Generator().manual_seed(3)).to(dtype)


@torch.no_grad()
def through(networks: Mapping[str, nn.Module]) -> Tensor:
    """What the denoiser makes of a picture."""
    out: Tensor = networks["unet"](inputs(next(networks["unet"].parameters()).dtype))
    return out


def saved(networks: Mapping[str, nn.Module], folder: Path, name: str, **options: Any) -> tuple[Loras, LoraRequest]:
    """A LoRA and its file."""
    lora = random_lora(networks, **options)
    return lora, LoraRequest(path=str(write(folder / f"{name}.safetensors", diffusers(lora))))


def bits(networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """All weights, copied."""
    return {f"{part}.{name}": t.clone() for part, one in networks.items() for name, t in one.state_dict().items()}


def assert_untouched(networks: Mapping[str, nn.Module], before: Mapping[str, Tensor]) -> None:
    """The same names and the same bits, and no hooks."""
    after = bits(networks)
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not any(module._forward_hooks for one in networks.values() for module in one.modules())


@pytest.mark.parametrize("mode", MODES)
def test_two_loras_are_the_sum_of_their_products(
    networks: dict[str, nn.Module], adapters: Adapters, tmp_path: Path, mode: LoraMode
) -> None:
    one, first = saved(networks, tmp_path, "one", rank=2, seed=1)
    two, second = saved(networks, tmp_path, "two", rank=4, seed=2)
    before, plain = bits(networks), through(networks)
    loras = [first.model_copy(update={"weight": 0.8}), second.model_copy(update={"weight": -1.5})]
    with adapters.set(loras, mode):
        found = through(networks)
    assert_untouched(networks, before)
    assert torch.equal(through(networks), plain)
    merge(networks, one, 0.8)
    merge(networks, two, -1.5)
    torch.testing.assert_close(found, through(networks), atol=1e-5, rtol=0.0)
    assert float((found - plain).abs().max()) > 0.1


def test_both_modes_agree(networks: dict[str, nn.Module], adapters: Adapters, tmp_path: Path) -> None:
    _, lora = saved(networks, tmp_path, "one")
    found = []
    for mode in MODES:
        with adapters.set([lora], mode):
            found.append(through(networks))
    torch.testing.assert_close(*found, atol=1e-5, rtol=0.0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("mode", MODES)
def test_the_layers_dtype_stays(
    networks: dict[str, nn.Module], adapters: Adapters, tmp_path: Path, mode: LoraMode, dtype: torch.dtype
) -> None:
    _, lora = saved(networks, tmp_path, "one")
    with adapters.set([lora], mode):
        exact = through(networks)
    for network in networks.values():
        network.to(dtype)
    before = bits(networks)
    with adapters.set([lora], mode):
        found = through(networks)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), exact, atol=0.1, rtol=0.0)
    assert_untouched(networks, before)


def test_unmerged_the_weights_are_left_alone(
    networks: dict[str, nn.Module], adapters: Adapters, tmp_path: Path
) -> None:
    before, (_, lora) = bits(networks), saved(networks, tmp_path, "one")
    pointers = [parameter.data_ptr() for parameter in networks["unet"].parameters()]
    with adapters.set([lora], "unmerged"):
        assert bits(networks).keys() == before.keys()
        assert [parameter.data_ptr() for parameter in networks["unet"].parameters()] == pointers
        assert type(networks["unet"].get_submodule("linear")) is nn.Linear


def test_text_encoders_and_denoiser_have_weights_of_their_own(
    networks: dict[str, nn.Module], adapters: Adapters, tmp_path: Path
) -> None:
    before, (factors, lora) = bits(networks), saved(networks, tmp_path, "one")
    with adapters.set([lora.model_copy(update={"weight": 0.5, "text_encoders": 0.0})], "merged"):
        after = bits(networks)
    assert {name for name in before if not torch.equal(before[name], after[name])} == {
        f"unet.{name}.weight" for part, name in factors if part == "unet"
    }
    with adapters.set([lora.model_copy(update={"denoiser": 0.0, "text_encoders": 2.0})], "merged"):
        change = bits(networks)["text_encoder.layer.weight"] - before["text_encoder.layer.weight"]
        assert torch.equal(bits(networks)["unet.linear.weight"], before["unet.linear.weight"])
    wanted = factors["text_encoder", "layer"]
    torch.testing.assert_close(change, 2.0 * wanted.up @ wanted.down, atol=1e-6, rtol=0.0)


@pytest.mark.parametrize("mode", MODES)
def test_a_weight_of_zero_changes_nothing(
    networks: dict[str, nn.Module], adapters: Adapters, tmp_path: Path, mode: LoraMode
) -> None:
    before, (_, lora) = bits(networks), saved(networks, tmp_path, "one")
    with adapters.set([lora.model_copy(update={"weight": 0.0})], mode):
        assert_untouched(networks, before)


@pytest.mark.parametrize("mode", MODES)
def test_a_new_setting_replaces_the_old_one_and_restores_it(
    networks: dict[str, nn.Module], adapters: Adapters, tmp_path: Path, mode: LoraMode
) -> None:
    before = bits(networks)
    _, first = saved(networks, tmp_path, "one", seed=1)
    _, second = saved(networks, tmp_path, "two", seed=2)
    adapters.set([second], mode)
    alone = through(networks)
    adapters.set([], mode)
    assert_untouched(networks, before)
    with adapters.set([first], mode):
        outer = through(networks)
        with adapters.set([second], mode):
            assert torch.equal(through(networks), alone)
        assert torch.equal(through(networks), outer)
    assert_untouched(networks, before)


def test_a_failure_halfway_leaves_the_earlier_setting(
    networks: dict[str, nn.Module], adapters: Adapters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, first = saved(networks, tmp_path, "one", seed=1)
    before = bits(networks)
    with adapters.set([first], "merged"):
        outer, merge, calls = through(networks), LayerChange.merge, []

        def failing(change: LayerChange, layer: Any, read: Any) -> Any:
            calls.append(layer)
            if len(calls) == 3:
                raise torch.OutOfMemoryError("no more")
            return merge(change, layer, read)

        monkeypatch.setattr(LayerChange, "merge", failing)
        with pytest.raises(torch.OutOfMemoryError):
            adapters.set([first, first], "merged")
        assert torch.equal(through(networks), outer)
    assert_untouched(networks, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_quantised_weights_take_loras_unmerged_only(tmp_path: Path, dtype: torch.dtype) -> None:
    """GGUF's blocks compute in a dtype of their own."""
    kind, values = gguf.GGMLQuantizationType.Q8_0, torch.randn(6, 32, generator=torch.Generator().manual_seed(4))
    blocks = GGUFParameter(torch.from_numpy(gguf.quants.quantize(values.numpy(), kind)), quant_type=kind)
    layer = QuantisedLinear(32, 6, False, compute_dtype=dtype, device="meta").requires_grad_(False)
    layer.weight = as_blocks(blocks)
    network = nn.ModuleDict({"layer": layer})
    before = layer.weight.clone()
    change = random_lora({"unet": nn.ModuleDict({"layer": nn.Linear(32, 6)})})
    lora = LoraRequest(path=str(write(tmp_path / "a.safetensors", diffusers(change))))
    adapters, x = Adapters({"unet": network}, lambda: ()), torch.randn(3, 32)
    with pytest.raises(IncompatibleError, match=r"unet.layer are quantised") as refused:
        adapters.set([lora], "merged")
    assert "unmerged" in str(refused.value)
    plain = layer(x)
    with adapters.set([lora], "unmerged"):
        found = layer(x)
    factors = change["unet", "layer"]
    assert found.dtype == dtype
    torch.testing.assert_close(
        (found - plain).float(),
        x @ (factors.up @ factors.down).T,
        atol=1e-5 if dtype == torch.float32 else 0.05,
        rtol=0.0,
    )
    assert torch.equal(layer.weight, before)
    assert torch.equal(layer(x), plain)


@pytest.mark.parametrize("mode", MODES)
def test_weights_that_are_moved_in_between_are_restored(
    networks: dict[str, nn.Module], adapters: Adapters, tmp_path: Path, mode: LoraMode
) -> None:
    """As by a host that frees memory; here it only copies."""
    before, (_, lora) = bits(networks), saved(networks, tmp_path, "one")
    with adapters.set([lora], mode):
        for parameter in networks["unet"].parameters():
            parameter.data = parameter.data.clone()
    assert_untouched(networks, before)
