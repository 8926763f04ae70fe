"""Layers that keep their weights packed, as GGUF's blocks or rows of float8, and dequantise them when they run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from diffusers.quantizers.gguf.utils import GGUFLinear
from torch import Tensor, nn
from torch.nn import functional

from latentry_diffusers.files.gguf.values import dequantised, is_quantised

__all__ = ["QuantisedConv2d", "QuantisedLinear", "as_blocks", "dequantised", "is_quantised", "with_quantised"]


class QuantisedLinear(GGUFLinear):  # type: ignore[misc]
    """diffusers' quantised layer, dequantised in float32 and then cast.

    diffusers multiplies scales in half precision, which moves values by up to 0.06 % of the largest.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Computes in the layer's dtype: inputs (…, in), the result (…, out)."""
        dtype = self.compute_dtype
        bias = None if self.bias is None else self.bias.to(dtype)
        # files may hold the blocks in rows of their own length, or with further dimensions of 1
        weight = dequantised(self.weight, dtype).reshape(self.out_features, self.in_features)
        return functional.linear(inputs.to(dtype), weight, bias)


class QuantisedConv2d(nn.Conv2d):
    """A convolution with packed weights, dequantised in float32 and then cast.

    Args:
        like: the convolution to replace.
        compute_dtype: to compute in.
    """

    def __init__(self, like: nn.Conv2d, compute_dtype: torch.dtype) -> None:
        super().__init__(
            like.in_channels,
            like.out_channels,
            cast(tuple[int, int], like.kernel_size),
            cast(tuple[int, int], like.stride),
            cast("str | tuple[int, int]", like.padding),
            cast(tuple[int, int], like.dilation),
            like.groups,
            like.bias is not None,
            like.padding_mode,
            device="meta",
        )
        self.compute_dtype = compute_dtype
        self.values_shape = tuple(self.weight.shape)

    def forward(self, inputs: Tensor) -> Tensor:
        """Computes in the layer's dtype: inputs (batch, in, h, w), the result (batch, out, h', w')."""
        dtype = self.compute_dtype
        bias = None if self.bias is None else self.bias.to(dtype)
        weight = dequantised(self.weight, dtype).reshape(self.values_shape)
        output: Tensor = self._conv_forward(inputs.to(dtype), weight, bias)
        return output


def with_quantised(network: nn.Module, dtypes: Mapping[str, torch.dtype]) -> frozenset[str]:
    """Makes the linear layers and convolutions of the named weights keep packed blocks.

    Other named tensors, such as embeddings and norms, must be dequantised before they are assigned.

    Args:
        network: on the meta device, or with weights that will be replaced.
        dtypes: of the quantised tensors, by their names in the network's ``state_dict``: the dtype to compute in.

    Returns:
        The names that can be assigned as packed blocks.
    """
    layers = {
        f"{name}.weight": name
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) or type(module) is nn.Conv2d  # a subclass may compute something else
    }
    kept = frozenset(dtypes) & layers.keys()
    for weight in kept:
        layer = network.get_submodule(layers[weight])
        network.set_submodule(layers[weight], _quantised(layer, dtypes[weight]).requires_grad_(False))
    return kept


def _quantised(layer: nn.Module, dtype: torch.dtype) -> nn.Module:
    if isinstance(layer, nn.Conv2d):
        return QuantisedConv2d(layer, dtype)
    assert isinstance(layer, nn.Linear)
    bias = layer.bias is not None
    return QuantisedLinear(layer.in_features, layer.out_features, bias, compute_dtype=dtype, device="meta")


def as_blocks(tensor: Tensor) -> nn.Parameter:
    """Packed blocks as a layer keeps them: as int8, which transformers' T5 recognises as a dtype not to compute in."""
    return cast(nn.Parameter, tensor.view(torch.int8))
