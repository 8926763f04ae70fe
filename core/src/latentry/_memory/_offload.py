"""Networks that are on the device only while they are used.

These few hooks take the place of accelerate's ``cpu_offload_with_hook`` and diffusers' ``apply_group_offloading``:
those replace ``forward``, copy weights back from the device and keep them there when a network fails, and the latter
cannot be removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from latentry._memory._ahead import Ahead, ahead_of
from latentry._memory._blocks import Split, split, whole
from latentry._memory._residency import Group, Move, Residency, to_device
from latentry._request._memory_policy import MemoryPolicy

WHOLE = "vae"
"""The part that always moves as one: its weights are small next to its activations."""


class Owner(Protocol):
    """What has networks: a model or a conditioner."""

    @property
    def networks(self) -> Mapping[str, nn.Module]: ...


@contextmanager
def offloaded(
    *models: Owner,
    device: torch.device | str,
    policy: MemoryPolicy,
    move: Move = to_device,
    ahead: Callable[[torch.device], Ahead | None] = ahead_of,
) -> Iterator[None]:
    """Runs the networks of models on a device that holds only the weights in use.

    The networks must be in main memory, and used by one thread only. At the end, also after an exception, the device
    holds none of their weights, the hooks are removed, and the weights are the same tensors as before: changes to them
    inside the context are lost.

    Args:
        models: models and conditioners; they take turns on the device.
        device: where their networks run; their inputs are moved there.
        policy: with ``offload="none"`` this does nothing.
        move: copies weights to the device.
        ahead: how weights are copied there before they are needed, with ``policy.prefetch``.
    """
    with ExitStack() as stack:
        if policy.offload != "none":
            place = torch.device(device)
            residency = Residency(place, move, ahead(place) if policy.prefetch else None)
            stack.callback(residency.clear)
            for part, network in ((part, network) for model in models for part, network in model.networks.items()):
                stack.enter_context(_hooked(network, _groups(part, network, policy), residency))
        yield


def _groups(part: str, network: nn.Module, policy: MemoryPolicy) -> Split:
    blocks = policy.offload == "blocks" and part != WHOLE
    return split(network, policy.blocks_per_group) if blocks else whole(network)


@contextmanager
def _hooked(network: nn.Module, groups: Split, residency: Residency) -> Iterator[None]:
    """Hooks that move weights: the trunk before the network or one of its children runs, a group before its blocks.

    The children have the hook too, because an autoencoder is never called itself, only its encoder and decoder.
    """
    with ExitStack() as stack:
        entries = [network, *network.children()]
        for module, needed in [(module, (groups.trunk,)) for module in entries] + [
            (block, (groups.trunk, group)) for blocks, group in groups.blocks for block in blocks
        ]:
            hook = _MovesWeights(residency, needed)
            stack.enter_context(module.register_forward_pre_hook(hook, prepend=True, with_kwargs=True))
        yield


class _MovesWeights:
    """Moves a module's weights and inputs to the device before it runs."""

    def __init__(self, residency: Residency, needed: tuple[Group, ...]) -> None:
        self._residency, self._needed = residency, needed

    def __call__(self, module: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        self._residency.require(*self._needed)
        return _on(self._residency.device, args), _on(self._residency.device, kwargs)


def _on(device: torch.device, value: Any) -> Any:
    """Moves the tensors in tuples, lists and dicts to a device."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {name: _on(device, item) for name, item in value.items()}
    if type(value) in (tuple, list):
        return type(value)(_on(device, item) for item in value)
    return value
