"""Layers that keep GGUF's blocks, beside the values that the gguf package makes of them."""

from __future__ import annotations

import gguf
import pytest
import torch
from diffusers.quantizers.gguf.utils import GGUFParameter
from support.gguf_files import SCALES, crafted
from torch import Tensor, nn
from transformers import T5Config, T5EncoderModel

from latentry_diffusers.layouts import Pair, forward
from latentry_diffusers.loading.quantised import QuantisedLinear, as_blocks, dequantised, is_quantised, with_quantised

WRITTEN = ("Q4_0", "Q5_0", "Q8_0")


def blocks_and_values(type: str) -> tuple[Tensor, Tensor]:
    """Of a matrix (12, 512), the values by the gguf package."""
    kind, data = gguf.GGMLQuantizationType[type], crafted(type, (12, 512), scale=0.01)
    return GGUFParameter(torch.from_numpy(data), quant_type=kind), torch.from_numpy(gguf.quants.dequantize(data, kind))


@pytest.mark.parametrize("type", SCALES)
def test_values_are_those_of_the_gguf_package(type: str) -> None:
    blocks, values = blocks_and_values(type)
    assert torch.equal(dequantised(blocks, torch.float32), values)
    assert torch.equal(dequantised(as_blocks(blocks), torch.bfloat16), values.bfloat16())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("type", SCALES)
def test_a_layer_computes_what_it_would_with_values(type: str, dtype: torch.dtype) -> None:
    blocks, values = blocks_and_values(type)
    layer = quantised(blocks, dtype)
    x, bias = torch.randn(2, 3, 512, generator=torch.Generator().manual_seed(0)), torch.arange(12.0)
    layer.bias = nn.Parameter(bias, requires_grad=False)
    assert torch.equal(layer(x.to(dtype)), nn.functional.linear(x.to(dtype), values.to(dtype), bias.to(dtype)))


@pytest.mark.parametrize("type", SCALES)
def test_rows_can_be_taken_apart_and_exchanged_as_blocks(type: str) -> None:
    blocks, values = blocks_and_values(type)
    for pair in (Pair("w", ("a", "b", "c"), rows=(2, 4, 6)), Pair("w", ("a", "b")), Pair("w", ("a",), "halves")):
        pieces, expected = forward(pair, blocks), forward(pair, values)
        assert pieces.keys() == expected.keys()
        for name, piece in pieces.items():
            assert is_quantised(piece)
            assert torch.equal(dequantised(piece, torch.float32), expected[name])


def test_a_layer_survives_moves_and_casts_of_its_network() -> None:
    blocks, values = blocks_and_values("Q5_K")
    network = nn.Sequential(quantised(blocks, torch.float32))
    network.to(torch.float64).to("cpu").requires_grad_(False).eval()
    x = torch.randn(3, 512, generator=torch.Generator().manual_seed(0))
    assert is_quantised(network[0].weight)
    assert torch.equal(network(x), x @ values.T)


def test_linear_layers_alone_keep_blocks() -> None:
    with torch.device("meta"):
        network = nn.ModuleDict(
            {
                "taken": nn.Linear(64, 8),
                "left": nn.Linear(64, 8),
                "words": nn.Embedding(9, 64),
                "norm": nn.LayerNorm(64),
            }
        )
    names = ("taken.weight", "words.weight", "norm.weight")
    assert with_quantised(network, dict.fromkeys(names, torch.bfloat16)) == {"taken.weight"}
    kinds = {name: type(module) for name, module in network.items()}
    assert kinds == {"taken": QuantisedLinear, "left": nn.Linear, "words": nn.Embedding, "norm": nn.LayerNorm}


@pytest.mark.parametrize("type", WRITTEN)
@pytest.mark.parametrize("kind", ["gated-gelu", "relu"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_t5_runs_on_blocks(type: str, kind: str, dtype: torch.dtype) -> None:
    """Its feed-forward layers look at the dtype of their weights."""
    plain = t5(kind)
    with torch.device("meta"):
        network = T5EncoderModel(plain.config)
    quant = gguf.GGMLQuantizationType[type]
    linear = {f"{name}.weight" for name, module in plain.named_modules() if isinstance(module, nn.Linear)}
    kept = with_quantised(network, dict.fromkeys(linear, dtype))
    assert kept == linear
    for name, tensor in plain.state_dict().items():
        owner, _, leaf = name.rpartition(".")
        if name in linear:
            data = gguf.quants.quantize(tensor.numpy(), quant)
            blocks = as_blocks(GGUFParameter(torch.from_numpy(data), quant_type=quant))
            setattr(network.get_submodule(owner), leaf, blocks)
            plain.get_submodule(owner).weight.data = torch.from_numpy(gguf.quants.dequantize(data, quant))
        else:
            setattr(network.get_submodule(owner), leaf, nn.Parameter(tensor.to(dtype), requires_grad=False))
    ids = torch.tensor([[1, 4, 9, 2, 0]])
    assert network.dtype == dtype
    assert torch.equal(network.eval()(ids)[0], plain.to(dtype).eval()(ids)[0])


def quantised(blocks: Tensor, dtype: torch.dtype) -> QuantisedLinear:
    with torch.device("meta"):
        network = nn.Sequential(nn.Linear(512, 12))
    with_quantised(network, {"0.weight": dtype})
    network[0].weight, network[0].bias = as_blocks(blocks), nn.Parameter(torch.zeros(12), requires_grad=False)
    return network[0]


def t5(kind: str) -> T5EncoderModel:
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=20, d_model=64, d_kv=16, d_ff=96, num_layers=2, num_heads=4, feed_forward_proj=kind, use_cache=False
    )
    return T5EncoderModel(config).requires_grad_(False)
