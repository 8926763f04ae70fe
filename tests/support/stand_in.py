"""A stand-in for a device: what is moved to it is a copy, by which it is told from what is at home."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


def tensors(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, each once."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def bytes_of(*modules: nn.Module) -> int:
    """Of all parameters and buffers."""
    return sum(tensor.nbytes for module in modules for tensor in tensors(module).values())


def copied(tensor: Tensor, line: int = 64) -> Tensor:
    """A copy that lies in memory as the tensor does: in what order kernels of the CPU sum depends on that."""
    room = torch.empty(tensor.nbytes + line, dtype=torch.uint8)
    start = (tensor.data_ptr() - room.data_ptr()) % line
    flat = room[start : start + tensor.nbytes].view(tensor.dtype)
    return flat.view(tensor.shape).copy_(tensor)


@dataclass
class Record:
    """What is on the stand-in, listened to from the modules that have weights of their own.

    Attributes:
        networks: by part.
        order: modules as they ran, ``part.module``, each with the tensors that were on the device then.
        peak: most bytes that were on the device at once.
    """

    networks: Mapping[str, nn.Module]
    order: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    peak: int = 0

    def __post_init__(self) -> None:
        self._slots = [
            (".".join(filter(None, (part, path, name))), members, name, tensor)
            for part, network in self.networks.items()
            for path, module in network.named_modules()
            for members in (module._parameters, module._buffers)
            for name, tensor in members.items()
            if tensor is not None
        ]
        for part, network in self.networks.items():
            for name, module in network.named_modules():
                if module._parameters:
                    module.register_forward_pre_hook(self._heard(f"{part}.{name}"))

    def move(self, tensor: Tensor, device: torch.device) -> Tensor:
        """What ``offloaded`` is to move with."""
        self._measure(tensor.nbytes)
        return copied(tensor)

    @property
    def here(self) -> frozenset[str]:
        """Names of the tensors that are on it."""
        return frozenset(self._here())

    @property
    def parts(self) -> list[str]:
        """Parts in the order in which they came to be used."""
        ran = [name.split(".")[0] for name, _ in self.order]
        return [part for before, part in zip(["", *ran], ran, strict=False) if part != before]

    def _here(self) -> dict[str, Tensor]:
        return {path: home for path, members, name, home in self._slots if members[name] is not home}

    def _measure(self, more: int = 0) -> None:
        self.peak = max(self.peak, more + sum({id(home): home.nbytes for home in self._here().values()}.values()))

    def _heard(self, name: str) -> Callable[..., None]:
        def hear(module: nn.Module, args: Any) -> None:
            here = self.here
            own = {
                f"{name}.{each}".replace("..", ".") for each, tensor in module._parameters.items() if tensor is not None
            }
            assert own <= here, f"{name} runs at home"
            self.order.append((name, here))

        return hear
