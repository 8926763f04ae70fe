"""A run's state as data: one JSON value and some named tensors, without pickle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentry._errors import IncompatibleError
from latentry._numerics._interval import Node
from latentry._numerics._processes._point import Point


@dataclass(frozen=True)
class RunState:
    """A run in the middle, as data that can be saved.

    Attributes:
        plan: fingerprint of the plan it belongs to.
        index: steps done.
        point: the level of the sample.
        tree: sample, memory and pending answers, with tensors by name.
        tensors: the tensors.
    """

    plan: str
    index: int
    point: Point
    tree: Any
    tensors: dict[str, Tensor]

    @classmethod
    def pack(cls, plan: str, index: int, point: Point, value: Any) -> RunState:
        """Turns a value of tensors, points, nodes, (named) tuples and plain values into data."""
        tensors: dict[str, Tensor] = {}
        return cls(plan, index, point, _encode(value, tensors), tensors)

    def unpack(self, memory: type) -> Any:
        """The value again; named tuples other than points and nodes become ``memory``."""
        return _decode(self.tree, self.tensors, memory)

    def save(self, path: Path | str) -> None:
        """Writes one safetensors file."""
        from safetensors.torch import save_file

        about = {"plan": self.plan, "index": self.index, "point": list(self.point), "tree": self.tree}
        tensors = {name: tensor.contiguous() for name, tensor in self.tensors.items()}
        save_file(tensors, path, metadata={"latentry.run": json.dumps(about)})

    @classmethod
    def load(cls, path: Path | str, device: torch.device | str = "cpu") -> RunState:
        """Reads what ``save`` wrote.

        Raises:
            IncompatibleError: the file is not a saved run.
        """
        from safetensors import safe_open

        with safe_open(path, "pt", device=str(device)) as file:
            text = (file.metadata() or {}).get("latentry.run")
            if text is None:
                raise IncompatibleError(f"{path} is not a saved run.", remedy="Give a file that RunState.save wrote.")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no iterator
        about = json.loads(text)
        return cls(about["plan"], about["index"], Point(*about["point"]), about["tree"], tensors)


def _encode(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = f"t{len(tensors)}"
        tensors[name] = value.detach().clone()  # slices would share storage, and buffers may be written again
        return {"tensor": name}
    if isinstance(value, Point):
        return {"point": list(value)}
    if isinstance(value, tuple):
        kind = "node" if isinstance(value, Node) else "fields" if hasattr(value, "_fields") else "tuple"
        return {kind: [_encode(item, tensors) for item in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"memory holds tensors, points, nodes, tuples and plain values, not {type(value).__name__}")


def _decode(value: Any, tensors: dict[str, Tensor], memory: type) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "point":
        return Point(*content)
    items = [_decode(item, tensors, memory) for item in content]
    return Node(*items) if kind == "node" else memory(*items) if kind == "fields" else tuple(items)
