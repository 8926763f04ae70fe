"""A call of a network as tensors and the rest, so that calls of one kind are known by their value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

CONSTANTS = (bool, int, float, str, torch.dtype, torch.device, type(None))
"""Types of arguments that a capture may hold."""


class NotCapturable(Exception):
    """A call that cannot be captured, with the reason."""


@dataclass(frozen=True)
class TensorKind:
    """All that a captured graph depends on of a tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device


@dataclass(frozen=True)
class Container:
    """A tuple, a list or a dict."""

    make: type
    keys: tuple[str, ...]
    items: tuple[Kind, ...]


Kind = TensorKind | Container | bool | int | float | str | torch.dtype | torch.device | None
"""The kind of an argument: its structure, with tensors described and constants as they are."""


def kind_of(value: Any, tensors: list[Tensor]) -> Kind:
    """The kind of a value; its tensors are added to the list in their order.

    Raises:
        NotCapturable: it holds something else than tensors and constants.
    """
    if isinstance(value, Tensor):
        tensors.append(value)
        return TensorKind(tuple(value.shape), value.dtype, value.device)
    if isinstance(value, CONSTANTS):
        return cast("Kind", value)
    if type(value) in (tuple, list):
        return Container(type(value), (), tuple(kind_of(item, tensors) for item in value))
    if type(value) is dict:
        return Container(dict, tuple(value), tuple(kind_of(item, tensors) for item in value.values()))
    raise NotCapturable(f"an argument is a {type(value).__name__}")


def value_of(kind: Kind, tensors: Iterator[Tensor]) -> Any:
    """The value of a kind, with tensors taken in order."""
    if isinstance(kind, TensorKind):
        return next(tensors)
    if isinstance(kind, Container):
        items = [value_of(item, tensors) for item in kind.items]
        return dict(zip(kind.keys, items, strict=True)) if kind.make is dict else kind.make(items)
    return kind
