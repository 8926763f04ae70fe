"""What of a network a graph cannot follow: other modules and parameters, and code of a host's inside it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle

OWN = "forward"
"""The instance attribute that overrides the ``forward`` of a module's class."""


def form_of(network: nn.Module) -> Hashable:
    """Equal as long as the network has the same modules, parameters and buffers, and as much code inside.

    Values of parameters are not part of it: graphs refer to them.
    """
    form: list[Any] = []
    for module, own in _walk(network):
        form += (id(module), own["training"], module is not network and _code(own))
        form += map(id, own["_parameters"].values())
        form += map(id, own["_buffers"].values())
    return tuple(form)


def has_code_inside(network: nn.Module) -> bool:
    """Whether a module inside has hooks or a ``forward`` of its own, or is compiled; hooks of the whole network run."""
    if _is_compiled(vars(network)):
        return True
    return any(_code(own) for module, own in _walk(network) if module is not network)


def hooks_so_far() -> int:
    """A number that grows with every hook that any module gets."""
    return RemovableHandle.next_id


def _walk(network: nn.Module) -> Iterator[tuple[nn.Module, dict[str, Any]]]:
    """The modules and their attributes; several times those that are in several places."""
    rest = [network]
    while rest:
        own = vars(module := rest.pop())
        rest += [inner for inner in own["_modules"].values() if inner is not None]
        yield module, own


def _code(own: dict[str, Any]) -> int:
    return len(own["_forward_hooks"]) + len(own["_forward_pre_hooks"]) + (OWN in own) + _is_compiled(own)


def _is_compiled(own: dict[str, Any]) -> bool:
    """Whether ``Module.compile`` was called."""
    return own.get("_compiled_call_impl") is not None
