"""How a network is captured: as the calls that it made, as TorchScript, or by ``torch.compile``.

``torch.export`` keeps the bits too, but what it makes is run operation by operation by an interpreter in Python, and
gains nothing on a CPU.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from latentry._capture._call import Kind, NotCapturable, kind_of, value_of, varied
from latentry._capture._form import settings_of
from latentry._capture._recording import Recording, replayed

Way = Literal["graph", "script", "compile"]
Graph = Callable[..., Any]
"""Takes the tensors of a call in their order, and returns what the network returns."""


class Flat(nn.Module):
    """A network as a function of tensors alone, for calls of one kind.

    Args:
        network: owns the weights.
        forward: its own one; hooks around it are not part of a graph.
        kind: of (positional, named) arguments.
    """

    def __init__(self, network: nn.Module, forward: Callable[..., Any], kind: Kind) -> None:
        super().__init__()
        self.network, self._forward, self._kind = network, forward, kind

    def forward(self, *tensors: Tensor) -> Any:
        """What the network returns for a call with these tensors."""
        args, kwargs = value_of(self._kind, iter(tensors))
        return self._forward(*args, **kwargs)


def capture(network: nn.Module, forward: Callable[..., Any], kind: Kind, tensors: Sequence[Tensor], way: Way) -> Graph:
    """A graph of the network for calls of one kind.

    Args:
        network: must be used by no other thread meanwhile.
        forward: its own one.
        kind: of the call.
        tensors: of one such call.
        way: ``graph`` records which functions of torch one call calls, on other values than the example's.
            ``script`` keeps PyTorch's own operators too, and with them the same bits; PyTorch no longer develops it.
            ``compile`` makes kernels of several operators, whose last bits differ.

    Raises:
        NotCapturable: by ``graph``, for a network that cannot be repeated so.
    """
    if way == "graph":
        return _recorded(network, forward, kind, tensors)
    flat = Flat(network, forward, kind).eval()
    # a graph that was made in inference mode could not be used outside it
    with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = tuple(tensor.clone() for tensor in tensors)
        graph: Graph = torch.compile(flat, dynamic=False) if way == "compile" else _scripted(flat, example)
        for _ in range(2):  # both finish their work in the first calls
            graph(*example)
        return graph


def _recorded(network: nn.Module, forward: Callable[..., Any], kind: Kind, tensors: Sequence[Tensor]) -> Graph:
    with torch.inference_mode(False), torch.no_grad():  # tensors count how often they are written
        example = [varied(tensor) for tensor in tensors]
        given, settings = value_of(kind, iter(example)), settings_of(network)
        with Recording(example) as recording:
            output = forward(*given[0], **given[1])
        left: list[Tensor] = []
        kind_of(given, left)
        if any(all(tensor is not one for one in example) for tensor in left):  # what it takes out does not matter
            raise NotCapturable("it puts values into what it is given")
        if settings_of(network) != settings:
            raise NotCapturable("it sets values on itself")
        return replayed(recording, output, type(network).__name__)


def _scripted(flat: Flat, example: tuple[Tensor, ...]) -> Graph:
    traced: Any = torch.jit.trace(flat, example, check_trace=False)  # type: ignore[no-untyped-call]
    graph: Graph = torch.jit.freeze(traced)
    return graph
