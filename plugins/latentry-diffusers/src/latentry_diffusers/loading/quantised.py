"""Linear layers that keep their weights as GGUF's packed blocks and dequantise them when they run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import torch
from diffusers.quantizers.gguf.utils import GGML_QUANT_SIZES, GGUFLinear, dequantize_functions
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from diffusers.quantizers.gguf.utils import GGUFParameter


class QuantisedLinear(GGUFLinear):  # type: ignore[misc]
    """diffusers' quantised layer, dequantised in float32 and then cast.

    diffusers multiplies scales in half precision, which moves values by up to 0.06 % of the largest.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Computes in the layer's dtype: inputs (…, in), the result (…, out)."""
        dtype = self.compute_dtype
        bias = None if self.bias is None else self.bias.to(dtype)
        return functional.linear(inputs.to(dtype), dequantised(self.weight, dtype), bias)


def is_quantised(tensor: Tensor) -> bool:
    """Whether it holds GGUF's packed blocks instead of values."""
    return hasattr(tensor, "quant_type")


def dequantised(blocks: Tensor, dtype: torch.dtype) -> Tensor:
    """The values of diffusers' ``GGUFParameter``, exact in float32 and then cast."""
    held = cast("GGUFParameter", blocks)
    size, packed = GGML_QUANT_SIZES[held.quant_type]
    rows = held.as_tensor().view(torch.uint8).reshape(-1, packed)
    values: Tensor = dequantize_functions[held.quant_type](rows, size, packed, dtype=torch.float32)
    return values.reshape(held.quant_shape).to(dtype)


def with_quantised(network: nn.Module, dtypes: Mapping[str, torch.dtype]) -> frozenset[str]:
    """Makes the linear layers of the named weights keep packed blocks.

    Other named tensors, such as embeddings and norms, must be dequantised before they are assigned.

    Args:
        network: on the meta device, or with weights that will be replaced.
        dtypes: of the quantised tensors, by their names in the network's ``state_dict``: the dtype to compute in.

    Returns:
        The names that can be assigned as packed blocks.
    """
    layers = {f"{name}.weight": name for name, module in network.named_modules() if isinstance(module, nn.Linear)}
    kept = frozenset(dtypes) & layers.keys()
    for weight in kept:
        name = layers[weight]
        layer = cast(nn.Linear, network.get_submodule(name))
        new = QuantisedLinear(
            layer.in_features, layer.out_features, layer.bias is not None, compute_dtype=dtypes[weight], device="meta"
        )
        network.set_submodule(name, new.requires_grad_(False))
    return kept


def as_blocks(tensor: Tensor) -> nn.Parameter:
    """Packed blocks as a layer keeps them: as int8, which transformers' T5 recognises as a dtype not to compute in."""
    return cast(nn.Parameter, tensor.view(torch.int8))
