"""Convolutions whose weights lie ready in the order in which oneDNN reads them.

torch keeps the weights of a convolution as they came and puts them into that order at every call. For a network's
deepest levels, with many channels and few pixels, that takes as long as the products.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import handle_torch_function, has_torch_function

OWN = "forward"
"""The instance attribute that overrides the ``forward`` of a layer's class."""


class PackedConvolution:
    """Takes the place of a convolution's ``forward``; the last bits differ, the layer's weight stays as it is.

    To torch's modes it is one function, so that a recorded network calls it, and not what it had made by then.

    What it gives lies in memory with the channels last, also for a contiguous input: the layers behind it must not rely
    on strides (``reshape``, not ``view``). Putting it back would take over half of what is gained.

    Args:
        layer: one that ``can_be_packed``.
    """

    def __init__(self, layer: nn.Conv2d) -> None:
        self._layer, self._ready = layer, layer.weight
        self._of: tuple[int, int] | None = None
        # the operators that torch.compile makes of convolutions on processors
        self._order, self._convolve = (
            torch.ops.mkldnn._reorder_convolution_weight.default,
            torch.ops.mkldnn._convolution_pointwise.default,
        )

    def __call__(self, x: Tensor) -> Tensor:
        """What the layer makes of (batch, channels, height, width)."""
        if has_torch_function((x,)):
            return handle_torch_function(self, (x,), x)
        layer = self._layer
        weight = layer.weight
        if not (x.dtype is weight.dtype is torch.float32 and x.is_cpu) or torch.is_grad_enabled() or x.dim() != 4:
            return type(layer).forward(layer, x)
        ways = (layer.padding, layer.stride, layer.dilation, layer.groups)
        of = (weight.data_ptr(), 0 if weight.is_inference() else weight._version)  # inference tensors count no versions
        if of != self._of:  # at the first call, and where the weight was changed since
            with torch.inference_mode(False):
                self._ready = self._order(weight.detach(), *ways, x.shape)
            self._of = of
        made: Tensor = self._convolve(x, self._ready, layer.bias, *ways, "none", [], "")
        return made

    def release(self) -> None:
        """Drops the copy; the next call makes another."""
        self._ready, self._of = self._layer.weight, None


def can_be_packed(layer: nn.Module) -> bool:
    """Whether a layer is a plain convolution that gains by it: one of 1×1 is a product of matrices."""
    return (
        type(layer) is nn.Conv2d
        and type(layer.weight) is nn.Parameter
        and layer.weight.dtype is torch.float32
        and layer.weight.is_cpu
        and layer.kernel_size != (1, 1)
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
        and OWN not in vars(layer)
    )


def is_available() -> bool:
    """Whether this torch has the operators; they are its own, and may change."""
    names = ("_reorder_convolution_weight", "_convolution_pointwise")
    mkldnn: Any = torch.backends.mkldnn
    return bool(mkldnn.is_available()) and all(hasattr(torch.ops.mkldnn, name) for name in names)


@contextmanager
def packed(network: nn.Module, known: MutableMapping[nn.Module, PackedConvolution] | None = None) -> Iterator[None]:
    """Runs the network's convolutions with weights in order until the end of the context, when these copies go.

    Weights may be changed meanwhile, but not through ``Tensor.data``, which autograd does not count.

    Args:
        network: it.
        known: what took the places before, by layer; it does so again, and what is new is added.
    """
    known = {} if known is None else known
    layers: list[Any] = [layer for layer in network.modules() if can_be_packed(layer)] if is_available() else []
    for layer in layers:
        if layer not in known:
            known[layer] = PackedConvolution(layer)
        layer.__dict__[OWN] = known[layer]
    try:
        yield
    finally:
        for layer in layers:
            del layer.__dict__[OWN]
            known[layer].release()
