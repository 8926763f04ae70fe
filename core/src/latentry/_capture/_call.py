"""A call of a network as tensors and the rest, so that calls of one kind are known by their value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

CONSTANTS = (str, torch.dtype, torch.device, type(None))
"""Types of arguments that a capture may hold, beside numbers."""


class NotCapturable(Exception):
    """A call that cannot be captured, with the reason."""


class TensorKind(NamedTuple):
    """All that a captured graph depends on of a tensor."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device


class Number(NamedTuple):
    """A bool, an int or a float: 1, 1.0 and True are equal, and lead to other dtypes."""

    type: type
    value: float


class Container(NamedTuple):
    """A tuple, a list, a dict or a frozen dataclass."""

    make: type
    keys: tuple[Any, ...]
    items: tuple[Kind, ...]


Kind = TensorKind | Number | Container | frozenset[int] | str | torch.dtype | torch.device | None
"""The kind of an argument: its structure, with tensors described and constants as they are."""


def kind_of(value: Any, tensors: list[Tensor]) -> Kind:
    """The kind of a value; its tensors are added to the list in their order.

    Raises:
        NotCapturable: it holds something else than tensors and constants.
    """
    if isinstance(value, Tensor):
        if value.layout is not torch.strided:
            raise NotCapturable(f"an argument is {value.layout}")
        tensors.append(value)
        return TensorKind(value.shape, value.stride(), value.dtype, value.device)
    if isinstance(value, bool | int | float):
        return Number(type(value), value)
    if isinstance(value, CONSTANTS):
        return cast("Kind", value)
    if type(value) in (tuple, list):
        return Container(type(value), (), tuple(kind_of(item, tensors) for item in value))
    if type(value) is dict:
        return Container(dict, tuple(value), tuple(kind_of(item, tensors) for item in value.values()))
    if type(value) is frozenset and all(type(item) is int for item in value):
        return cast("Kind", value)
    if is_dataclass(value) and not isinstance(value, type) and value.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        names = tuple(field.name for field in fields(value) if field.init)
        return Container(type(value), names, tuple(kind_of(getattr(value, name), tensors) for name in names))
    raise NotCapturable(f"an argument is a {type(value).__name__}")


def value_of(kind: Kind, tensors: Iterator[Tensor]) -> Any:
    """The value of a kind, with tensors taken in order."""
    if isinstance(kind, TensorKind):
        return next(tensors)
    if isinstance(kind, Number):
        return kind.value
    if isinstance(kind, Container):
        items = [value_of(item, tensors) for item in kind.items]
        named = dict(zip(kind.keys, items, strict=False))
        return named if kind.make is dict else kind.make(**named) if is_dataclass(kind.make) else kind.make(items)
    return kind


def varied(tensor: Tensor) -> Tensor:
    """A tensor of the same kind with other values, such as a call could have: integers are permuted."""
    shape, stride = tensor.shape, tensor.stride()
    reach = 1 + sum((size - 1) * step for size, step in zip(shape, stride, strict=True)) if tensor.numel() else 0
    flat = tensor.as_strided((reach,), (1,))  # expanded tensors stay so
    other = flat * 0.875 + 0.0625 if tensor.is_floating_point() or tensor.is_complex() else flat.flip(0)
    return other.as_strided(shape, stride)
