"""What of a network a graph cannot follow: other modules and parameters, and code of a host's inside it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from torch import nn
from torch.nn.modules.module import _has_any_global_hook
from torch.utils.hooks import RemovableHandle

OWN = "forward"
"""The instance attribute that overrides the ``forward`` of a module's class."""
PLAIN = (bool, int, float, str, type(None))
"""Types of settings that are compared by value."""


def form_of(network: nn.Module) -> Hashable:
    """Equal as long as the network has the same modules, parameters and buffers, and as much code inside.

    Values of parameters are not part of it: graphs refer to them.
    """
    form: list[Any] = [_are_all_watched()]
    for module, own in _walk(network):
        form += (id(module), type(module), own["training"], module is not network and _code(own))
        form += map(id, own["_parameters"].values())
        form += map(id, own["_buffers"].values())
    return tuple(form)


def settings_of(network: nn.Module) -> Hashable:
    """Equal as long as the same values and objects are set on its modules, such as sizes and attention processors.

    What is set on such objects is not part of it.
    """
    return tuple(
        value if type(value) in PLAIN else id(value)
        for _, own in _walk(network)
        for name, value in own.items()
        if name[0] != "_" and name != OWN
    )


def has_code_inside(network: nn.Module) -> bool:
    """Whether a module inside has hooks or a ``forward`` of its own, or is compiled, or all modules have hooks.

    Hooks of the network alone run beside a graph.
    """
    if _is_compiled(vars(network)) or _are_all_watched():
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


def _are_all_watched() -> bool:
    return bool(_has_any_global_hook())  # type: ignore[no-untyped-call]


def _code(own: dict[str, Any]) -> int:
    return len(own["_forward_hooks"]) + len(own["_forward_pre_hooks"]) + (OWN in own) + _is_compiled(own)


def _is_compiled(own: dict[str, Any]) -> bool:
    """Whether ``Module.compile`` was called."""
    return own.get("_compiled_call_impl") is not None
