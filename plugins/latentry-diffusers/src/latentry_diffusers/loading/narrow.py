"""Layers that keep their weights in half precision and compute in their input's dtype."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from latentry.models import layers_in_blocks
from latentry_diffusers.bundle.networks import common_name
from latentry_diffusers.bundle.sources import Part

HALVES = ("F16", "BF16")
"""What safetensors calls them."""


class NarrowLinear(nn.Linear):
    """Casts its weight when it runs: the same bits as a weight that was cast when it was loaded."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs (…, in), the result (…, out) in their dtype."""
        return functional.linear(inputs, self.weight.to(inputs.dtype), self.bias)


class NarrowConv2d(nn.Conv2d):
    """Likewise, for (batch, in, h, w)."""

    def forward(self, inputs: Tensor) -> Tensor:
        """The result (batch, out, h', w') in the dtype of the inputs."""
        output: Tensor = self._conv_forward(inputs, self.weight.to(inputs.dtype), self.bias)
        return output


NARROW = {nn.Linear: NarrowLinear, nn.Conv2d: NarrowConv2d}


def with_narrow(network: nn.Module, part: Part) -> frozenset[str]:
    """Makes the layers in a network's blocks keep weights as narrow as the files hold them.

    Args:
        network: on the meta device.
        part: where its weights lie.

    Returns:
        The names of those weights.
    """
    names = set()
    for layer in layers_in_blocks(network, ()):
        name = f"{layer}.weight"
        if part.sources[common_name(name)].dtype in HALVES:
            module = network.get_submodule(layer)
            module.__class__ = NARROW[type(module)]  # which adds nothing but its ``forward``
            names.add(name)
    return frozenset(names)
