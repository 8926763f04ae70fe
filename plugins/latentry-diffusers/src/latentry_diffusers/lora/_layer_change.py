"""Applying the adapters' changes to a layer: to its output at each call, or to its weight once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

from latentry import IncompatibleError
from latentry_diffusers.files.gguf.values import dequantised, is_quantised
from latentry_diffusers.lora._factors import Full, LowRank
from latentry_diffusers.lora._terms import Decomposition, Joined, ReadWeight, Term, Turn, joined, moved

Layer = nn.Linear | nn.Conv2d


class LayerChange:
    """The change of one layer by all adapters together.

    Args:
        terms: what each adapter does to the layer's weight.
        bias: what they add to its bias (outputs), or None.
    """

    def __init__(self, terms: Sequence[Term], bias: Tensor | None = None) -> None:
        self._change, self._bias = joined(terms), bias
        self._placed: Placed | None = None

    @property
    def reads(self) -> frozenset[nn.Module]:
        """The layers whose weights it reads together, because they are one layer in a file."""
        stacks = (term.stack for term in self._change.others if isinstance(term, Decomposition | Turn))
        return frozenset(layer for stack in stacks if len(stack.layers) > 1 for layer in stack.layers)

    def add_hook(self, layer: nn.Module) -> Callable[[], None]:
        """Adds the change to the layer's output from now on. The layer and its weight stay as they are.

        LoRAs are computed from their factors. For all other kinds the change of the weight is computed at each call, so
        that no second copy of the model's weights is kept; what is small and the same at each call is kept.

        Returns:
            A function that ends it.
        """
        return layer.register_forward_hook(self.applied).remove

    def merge(self, layer: Layer, read: ReadWeight) -> Callable[[], None]:
        """Adds the change to the layer's weight and bias, and keeps the old values on the CPU.

        Args:
            layer: must not be quantised.
            read: gives a layer's unmerged weight, even if it was merged before this one.

        Returns:
            A function that puts the old values back, bit for bit.
        """
        undo: list[Callable[[], None]] = []
        product, others = moved(self._change, layer.weight.device)
        changes = [] if product is None else [product.matrix()]
        if changes := changes + [term.change(layer, read) for term in others]:
            undo.append(_add(layer.weight, torch.stack(changes).sum(0)))
        if self._bias is not None and layer.bias is not None:
            undo.append(_add(layer.bias, self._bias))
        elif self._bias is not None:
            undo.append(LayerChange((), self._bias).add_hook(layer))

        def restore() -> None:
            while undo:
                undo.pop()()

        return restore

    def applied(self, layer: nn.Module, given: tuple[Any, ...], output: Tensor) -> Tensor:
        """The layer's output with the change, for what it was given; a forward hook."""
        x = given[0].to(output.dtype)  # quantised layers compute in a dtype of their own
        here = self._place(x.device, x.dtype)
        if here.change.product is not None:
            output = output + _through(layer, x, here.change.product)
        for term in here.change.others:
            output = output + _through(layer, x, Full(term.change(layer, own_weight).to(x.dtype)))
        if here.bias is not None:
            output = output + (here.bias if isinstance(layer, nn.Linear) else here.bias.view(-1, 1, 1))
        return output

    def _place(self, device: torch.device, dtype: torch.dtype) -> Placed:
        """The change on the layer's device and in its dtype; moved there at the first call."""
        here = self._placed
        if here is None or here.device != device or here.dtype != dtype:
            with torch.inference_mode(False), torch.no_grad():  # what is kept can be used under autograd later
                self._placed = here = self._placed_on(device, dtype)
        return here

    def _placed_on(self, device: torch.device, dtype: torch.dtype) -> Placed:
        product, others = moved(self._change, device)
        if product is not None:
            product = LowRank(product.up.to(dtype), product.down.to(dtype))
        bias = None if self._bias is None else self._bias.to(device, dtype)
        return Placed(Joined(product, tuple(term.prepared(own_weight) for term in others)), bias, device, dtype)


class Placed(NamedTuple):
    """A layer's change on one device: LoRAs and biases in the dtype that the layer computes in, the rest in float32."""

    change: Joined
    bias: Tensor | None
    device: torch.device
    dtype: torch.dtype


def own_weight(layer: nn.Module) -> Tensor:
    """A layer's weight as float32 (outputs, columns), dequantised if needed."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    if is_quantised(weight):  # the rows in its file may differ
        outputs = int(layer.out_channels if isinstance(layer, nn.Conv2d) else layer.out_features)  # type: ignore[arg-type]
        return dequantised(weight, torch.float32).reshape(outputs, -1)
    return weight.detach().float().flatten(1)


def check_mergeable(part: str, name: str, layer: Layer) -> None:
    """Refuses a layer whose weight cannot be changed.

    Raises:
        IncompatibleError: it is quantised.
    """
    if is_quantised(layer.weight):
        raise IncompatibleError(
            "The LoRAs cannot be merged into this model.",
            why=f"The weights of {part}.{name} are quantised, and a changed weight would have to be quantised again.",
            remedy="Use the LoRAs unmerged, which is the default.",
        )


def _through(layer: nn.Module, x: Tensor, change: LowRank | Full) -> Tensor:
    """The layer's output with only the change as its weight."""
    if not isinstance(layer, nn.Conv2d):
        return linear(linear(x, change.down), change.up) if isinstance(change, LowRank) else linear(x, change.values)
    made = change.values if isinstance(change, Full) else change.down
    result: Tensor = layer._conv_forward(x, made.view(-1, layer.in_channels // layer.groups, *layer.kernel_size), None)
    return result if isinstance(change, Full) else conv2d(result, change.up[:, :, None, None])


def _add(parameter: Tensor, change: Tensor) -> Callable[[], None]:
    """Adds to a parameter's values, and returns a function that undoes it even after a move to another device."""
    before = parameter.data
    changed = before.float() + change.to(before.device).view(before.shape)
    parameter.data = changed.to(before.dtype)
    kept = before.cpu()

    def restore() -> None:
        parameter.data = kept.to(parameter.device)

    return restore
